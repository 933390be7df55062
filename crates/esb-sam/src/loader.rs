//! The trait through which a caller supplies included files; this crate opens none itself.

/// Loads files that a template includes.
///
/// ```
/// use std::collections::HashMap;
///
/// use esb_model::{SourceMap, TemplateId};
/// use esb_sam::{LoadError, Loader, Options, parse};
///
/// /// Files in memory, by the location that asks for them.
/// struct Files(HashMap<&'static str, &'static str>);
///
/// impl Loader for Files {
///     fn load(&self, _from: &str, location: &str) -> Result<String, LoadError> {
///         self.0.get(location).map(|text| (*text).to_owned()).ok_or(LoadError::NotFound)
///     }
/// }
///
/// let child = "Resources: {Orders: {Type: AWS::Serverless::SimpleTable}}";
/// let files = Files(HashMap::from([("child.yaml", child)]));
/// let text = "Resources: {Child: {Type: AWS::Serverless::Application, Properties: {Location: child.yaml}}}";
///
/// let mut sources = SourceMap::default();
/// let parsed = parse(&mut sources, TemplateId(0), "t.yaml", text, &Options::default(), &files);
/// assert_eq!(parsed.application.tables[0].logical_id, "Child/Orders");
/// assert_eq!(parsed.application.tables[0].name, "Child-Orders");
/// ```
pub trait Loader {
    /// The text of the file that the template `from` names as `location`, relative to `from`.
    ///
    /// Implementations stay inside the project, read regular files only, and bound their size.
    ///
    /// # Errors
    /// When the file is not given, for one of the reasons of [`LoadError`].
    fn load(&self, from: &str, location: &str) -> Result<String, LoadError>;
}

/// Why a file is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Nobody loads files here.
    #[error("included files are not read here")]
    Unsupported,
    #[error("there is no such file")]
    NotFound,
    #[error("the file lies outside the project")]
    Outside,
    #[error("it is not a regular file")]
    NotAFile,
    /// The file is larger than this many bytes.
    #[error("the file has more than {0} bytes")]
    TooLarge(usize),
    #[error("the file is not UTF-8 text")]
    NotText,
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// Loads nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLoader;

impl Loader for NoLoader {
    fn load(&self, _: &str, _: &str) -> Result<String, LoadError> {
        Err(LoadError::Unsupported)
    }
}
