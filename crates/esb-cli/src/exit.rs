//! Exit codes, and the one error type that carries them.

use std::fmt;

/// How a run ends; the numbers are a contract (`docs/reference/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Input = 1,
    Usage = 2,
    Build = 3,
    Remote = 4,
    Locked = 5,
    Invoke = 6,
    Difference = 7,
    Changes = 8,
    Local = 9,
    Interrupted = 130,
}

impl Exit {
    /// All codes that a run can end with, in order, with their meaning.
    pub(crate) const ALL: [(Self, &str); 11] = [
        (Self::Success, "success"),
        (
            Self::Input,
            "the input is wrong: template, parameters, missing code, or a policy such as \
             `--image-prewarm=off`",
        ),
        (Self::Usage, "the command line is wrong"),
        (Self::Build, "a build failed"),
        (Self::Remote, "a registry or engine is unreachable, refused, or broken"),
        (Self::Locked, "another run holds the lock"),
        (Self::Invoke, "the invoked function failed"),
        (Self::Difference, "a check found a difference (`--locked`)"),
        (Self::Changes, "`--dry-run --detailed-exitcode`: there are changes"),
        (Self::Local, "the local disk or store failed"),
        (Self::Interrupted, "interrupted"),
    ];
}

/// Why a run ends early: what was attempted on what, why, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// A stable name for JSON, such as `IMAGE_PULL_FAILED` or `template`.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
    /// Lines of a program's own output that explain the failure.
    pub(crate) log: Option<String>,
    /// What was found in the templates, as JSON has it; people have seen it by then.
    pub(crate) findings: Vec<serde_json::Value>,
    /// The failures that this one sums up.
    pub(crate) parts: Vec<Failure>,
    /// Whether the result on stdout tells it, so that JSON stays one document.
    pub(crate) is_told: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            log: None,
            findings: Vec::new(),
            parts: Vec::new(),
            is_told: false,
        }
    }

    /// One failure for several; a single one stays as it is.
    pub(crate) fn all(mut parts: Vec<Self>, summary: impl FnOnce(usize) -> String) -> Option<Self> {
        if parts.len() < 2 {
            return parts.pop();
        }
        let mut all = Self::new(parts[0].exit, parts[0].code.clone(), summary(parts.len()));
        all.parts = parts;
        Some(all)
    }

    /// Code, exit code, message, causes and hint.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "code": self.code,
            "exit": self.exit as u8,
            "message": self.message,
            "causes": self.causes,
            "hint": self.hint,
        })
    }

    /// A failure whose words are out already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "", "")
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// A failure with the message and the causes of an error.
    pub(crate) fn of(
        exit: Exit,
        code: impl Into<String>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let mut failure = Self::new(exit, code, error.to_string());
        failure.push_causes(error.source());
        failure
    }

    /// The message with its causes, in one line.
    pub(crate) fn chain(&self) -> String {
        let causes = self.causes.iter().map(|cause| format!(": {cause}"));
        [self.message.clone()].into_iter().chain(causes).collect()
    }

    /// Puts a step in front: the former message becomes the first cause.
    pub(crate) fn during(mut self, step: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, step.into());
        self.causes.insert(0, cause);
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    fn push_causes(&mut self, mut cause: Option<&(dyn std::error::Error + 'static)>) {
        // A chain that never ends is a bug of an error type; it must not hang the report.
        for _ in 0..16 {
            let Some(error) = cause else { return };
            let text = error.to_string();
            if self.causes.last().unwrap_or(&self.message) != &text {
                self.causes.push(text);
            }
            cause = error.source();
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<esb_image::Error> for Failure {
    fn from(error: esb_image::Error) -> Self {
        let (exit, code) = match error.kind() {
            esb_image::Kind::Input => (Exit::Input, "input"),
            esb_image::Kind::Build => (Exit::Build, "build"),
            esb_image::Kind::Remote => (Exit::Remote, "engine"),
            esb_image::Kind::Local => (Exit::Local, "disk"),
        };
        let code = error.code().unwrap_or(code);
        let mut failure = Self::of(exit, code, &error).maybe_hint(error.hint());
        if let esb_image::Error::Step { log, .. } = error {
            failure.log = Some(log);
        }
        failure
    }
}

impl From<esb_oci::StoreError> for Failure {
    fn from(error: esb_oci::StoreError) -> Self {
        let exit = match &error {
            esb_oci::StoreError::InUse { .. } => Exit::Locked,
            error if error.is_input() => Exit::Input,
            error if error.is_local() => Exit::Local,
            _ => Exit::Remote,
        };
        Self::of(exit, "store", &error).maybe_hint(error.hint())
    }
}

impl From<esb_oci::FolderError> for Failure {
    fn from(error: esb_oci::FolderError) -> Self {
        let exit = if error.is_input() { Exit::Input } else { Exit::Local };
        Self::of(exit, "disk", &error).maybe_hint(error.hint())
    }
}

impl From<esb_oci::BlobError> for Failure {
    fn from(error: esb_oci::BlobError) -> Self {
        Self::of(Exit::Remote, "image", &error)
    }
}

impl From<esb_oci::LayoutError> for Failure {
    fn from(error: esb_oci::LayoutError) -> Self {
        let exit = match &error {
            esb_oci::LayoutError::Foreign { .. } => Exit::Input,
            esb_oci::LayoutError::Store(error) if error.is_input() => Exit::Input,
            esb_oci::LayoutError::Store(error) if error.is_local() => Exit::Local,
            _ => Exit::Remote,
        };
        Self::of(exit, "layout", &error).maybe_hint(error.hint())
    }
}
