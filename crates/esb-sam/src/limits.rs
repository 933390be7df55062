//! Limits on the work that one template may cause.
//!
//! Owns every bound that hostile or broken input runs into. The numbers lie far above what real
//! templates need and far below what would slow a machine down.

/// Limits of one parse, for the template with its nested templates and included files together.
///
/// ```
/// use esb_model::{SourceMap, TemplateId};
/// use esb_sam::{NoLoader, Options, codes, parse};
///
/// let mut options = Options::default();
/// options.limits.nodes = 1_000;
/// let text = format!("Resources: [{}]", "x, ".repeat(2_000));
///
/// let mut sources = SourceMap::default();
/// let parsed = parse(&mut sources, TemplateId(0), "t.yaml", &text, &options, &NoLoader);
/// assert_eq!(parsed.findings[0].code, codes::LIMIT);
/// assert!(!parsed.readable);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of all files.
    pub file_bytes: usize,
    /// Containers inside each other; a short tag such as `!Sub` counts as one.
    pub depth: usize,
    /// Nodes of all documents, keys included, after aliases and merge keys are expanded.
    pub nodes: usize,
    /// How many times more nodes aliases may add than the text itself has.
    pub expansion_ratio: usize,
    /// Bytes of one scalar.
    pub scalar_bytes: usize,
    /// Bytes of one text that an intrinsic function makes.
    pub text_bytes: usize,
    /// Bytes of all resolved text together.
    pub total_text_bytes: usize,
    /// Nodes that are evaluated, each as often as it is needed.
    pub steps: usize,
    /// Intrinsics, conditions and resource names inside each other during evaluation.
    pub evaluation_depth: usize,
    /// Iterations of all `Fn::ForEach` loops together.
    pub for_each: usize,
    /// `Fn::ForEach` loops inside each other.
    pub for_each_depth: usize,
    /// Bytes of values that are matched against the patterns of parameters, all together.
    pub pattern_bytes: usize,
    /// Items of one list that a text is split into.
    pub list_items: usize,
    /// Address ranges of one `Fn::Cidr`.
    pub cidr: usize,
    /// Nested applications inside each other.
    pub nested_depth: usize,
    /// Nested applications and included files in all.
    pub loads: usize,
    /// Findings that are kept; the rest is only counted.
    pub findings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 10 << 20,
            depth: 128,
            nodes: 250_000,
            expansion_ratio: 100,
            scalar_bytes: 8 << 20,
            text_bytes: 1 << 20,
            total_text_bytes: 16 << 20,
            steps: 1_000_000,
            evaluation_depth: 160,
            for_each: 10_000,
            for_each_depth: 5,
            pattern_bytes: 8 << 10,
            list_items: 100_000,
            cidr: 256,
            nested_depth: 10,
            loads: 200,
            findings: 1_000,
        }
    }
}
