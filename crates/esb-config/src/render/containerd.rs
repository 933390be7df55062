//! Checks functions against the limits of containerd, where a memory limit is enforced and names
//! are short.

use esb_model::{Family, Finding, Function, Package, Severity, image_name};

use crate::codes;

/// The longest identifier of containerd's (`maxLength` of its package `identifiers`).
const LONGEST_NAME: usize = 76;

/// What the Agent ends a name with: `-` and eight hexadecimal digits.
const NAME_END: usize = 9;

/// In MB: with 128 a JVM with the hooks is killed before its first answer.
const JVM_MEMORY: u32 = 256;

/// The findings of one function, of which `prefix` begins the names of its workers.
pub(super) fn check(function: &Function, prefix: &str) -> Vec<Finding> {
    [name(function, prefix), memory(function)].into_iter().flatten().collect()
}

fn name(function: &Function, prefix: &str) -> Option<Finding> {
    let name = function.effective_name();
    // Without one there is no image, which is told elsewhere.
    let worker = format!("{prefix}{}", image_name(&name).ok()?);
    let length = worker.len() + NAME_END;
    let separator = |c: char| matches!(c, '.' | '_' | '-');
    let reason = if length > LONGEST_NAME {
        format!("have {length} characters, but containerd allows {LONGEST_NAME}")
    } else if worker.contains(|c: char| !c.is_ascii_alphanumeric() && !separator(c))
        || worker.split(separator).any(str::is_empty)
    {
        "are not valid for containerd, which allows letters and digits, with single `.`, `_` or `-` between them"
            .to_owned()
    } else {
        return None;
    };
    let message = format!("the names of workers of `{name}`, `{worker}-<8 digits>`, {reason}");
    let span = function.name_span.unwrap_or(function.span);
    let finding = Finding::new(Severity::Warning, codes::CONTAINER_NAME, span, message);
    let spare = length.saturating_sub(LONGEST_NAME);
    let help = format!(
        "no worker of it would start: shorten `FunctionName` or the environment's name by {spare}"
    );
    Some(finding.help(if spare > 0 {
        help
    } else {
        "choose another name for the environment".to_owned()
    }))
}

fn memory(function: &Function) -> Option<Finding> {
    let Package::Zip(package) = &function.package else { return None };
    let Some(Ok(runtime)) = &package.runtime else { return None };
    let memory = function.effective_memory();
    if runtime.family() != Family::Java || memory >= JVM_MEMORY {
        return None;
    }
    let name = function.effective_name();
    let given = if function.memory.is_some() { "" } else { ", the default," };
    let message = format!(
        "containerd lets function `{name}` have {memory} MB{given} and a JVM needs more: its \
         workers are killed"
    );
    let span = function.memory_span.unwrap_or(function.span);
    let finding = Finding::new(Severity::Warning, codes::JVM_MEMORY, span, message);
    Some(finding.help(format!("set `MemorySize` to {JVM_MEMORY} at least, better 512")))
}
