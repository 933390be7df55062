//! The platform's hooks for images that others built
//! (docs/contracts/platform.md#hooks-in-external-images).
//!
//! Owns which hooks an image gets, where they lie in it, and the variables that load them. Its
//! entry point and its command stay as they are. Refuses to look into the image's files: its
//! settings alone decide.

/// Where the hooks lie: below a folder that layers of functions do not use.
const FOLDER: &str = "opt/esb";

/// What loads the hooks.
const JVM_OPTIONS: &str = "JAVA_TOOL_OPTIONS";
const PYTHON_PATH: &str = "PYTHONPATH";

/// The settings in an image's config that decide which hooks it gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSettings<'a> {
    /// Its variables, in order.
    pub variables: Vec<(&'a str, &'a str)>,
    /// Entry point and command.
    pub command: Vec<&'a str>,
}

/// The files and variables that add the hooks to an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageHooks {
    /// Files, by their path from the root without its slash, sorted.
    pub files: Vec<(String, &'static [u8])>,
    /// Variables with their new values.
    pub variables: Vec<(&'static str, String)>,
    /// The variable that loads the hooks, and what a value that replaces the image's has to begin
    /// with for them to be loaded.
    pub loaded_by: Option<(&'static str, String)>,
}

impl ImageSettings<'_> {
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().rfind(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// Whether a JVM runs the function: it says so in a variable, or in the form of the handler.
    fn is_java(&self) -> bool {
        let java = |word: &&str| word.contains("::") || *word == "java" || word.ends_with("/java");
        self.variables.iter().any(|(name, _)| name.starts_with("JAVA_"))
            || self.command.iter().any(java)
    }
}

/// The hooks for an image: the agent where a JVM runs the function, else those of Python, which
/// no other program loads.
pub fn image_hooks(image: &ImageSettings<'_>) -> ImageHooks {
    let with = |ours: &str, name: &str, separator: char| match image.variable(name) {
        Some(theirs) if theirs.split(separator).any(|part| part == ours) => theirs.to_owned(),
        Some(theirs) if !theirs.is_empty() => format!("{ours}{separator}{theirs}"),
        _ => ours.to_owned(),
    };
    if image.is_java() {
        let agent = esb_runtime::image_java();
        let path = format!("{FOLDER}/java/{}", agent.path);
        let ours = format!("-javaagent:/{path}");
        let options = with(&ours, JVM_OPTIONS, ' ');
        return ImageHooks {
            files: vec![(path, agent.content)],
            variables: vec![("JAVA_AGENT_PRESENT", "1".to_owned()), (JVM_OPTIONS, options)],
            loaded_by: Some((JVM_OPTIONS, format!("{ours} "))),
        };
    }
    let folder = format!("{FOLDER}/python");
    let ours = format!("/{folder}");
    let files = esb_runtime::image_python();
    ImageHooks {
        files: files.iter().map(|f| (format!("{folder}/{}", f.path), f.content)).collect(),
        variables: vec![(PYTHON_PATH, with(&ours, PYTHON_PATH, ':'))],
        loaded_by: Some((PYTHON_PATH, format!("{ours}:"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_decide_and_their_own_values_stay() {
        let check = |variables: &[(&str, &str)], command: &[&str], expected: &[(&str, &str)]| {
            let image = ImageSettings { variables: variables.to_vec(), command: command.to_vec() };
            let hooks = image_hooks(&image);
            let got: Vec<_> = hooks.variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
            assert_eq!(got, expected, "{variables:?} {command:?}");
            let (name, start) = hooks.loaded_by.as_ref().unwrap();
            let value = &got.iter().find(|(key, _)| key == name).unwrap().1;
            assert!(value.contains(&start[..start.len() - 1]), "{value} {start}");
            assert!(hooks.files.iter().all(|(path, _)| path.starts_with("opt/esb/")));
        };
        check(&[], &["app.handler"], &[("PYTHONPATH", "/opt/esb/python")]);
        check(&[("PYTHONPATH", "/x")], &[], &[("PYTHONPATH", "/opt/esb/python:/x")]);
        check(&[("PYTHONPATH", "/opt/esb/python")], &[], &[("PYTHONPATH", "/opt/esb/python")]);
        let other = [("PYTHONPATH", "/opt/esb/python:/opt/esb/python2")];
        check(&[("PYTHONPATH", "/opt/esb/python2")], &[], &other);
        let agent = "-javaagent:/opt/esb/java/lambda-java-agent.jar";
        let java = [("JAVA_AGENT_PRESENT", "1"), ("JAVA_TOOL_OPTIONS", agent)];
        check(&[], &["/lambda-entrypoint.sh", "com.example.App::handle"], &java);
        check(&[("JAVA_HOME", "/jvm")], &["run"], &java);
        let both = format!("{agent} -Xmx1g");
        let java = [("JAVA_AGENT_PRESENT", "1"), ("JAVA_TOOL_OPTIONS", &*both)];
        check(&[("JAVA_TOOL_OPTIONS", "-Xmx1g")], &["/usr/bin/java"], &java);
    }
}
