//! The bill of materials, against the schema of `CycloneDX`.

use crate::{
    checks::Outcome,
    command::{command, output},
    dist::{Release, sbom},
    python,
};

const REQUIREMENTS: &str = "xtask/tools/sbom.requirements.txt";

/// Prints what the schema does not allow.
const CHECK: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
with open(sys.argv[1], encoding='utf-8') as file:
    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(file.read())
sys.exit(str(wrong) if wrong else 0)
";

pub(super) fn is_valid(release: &Release) -> Outcome {
    let python = python::environment("sbom", REQUIREMENTS)?;
    let file = release.file(&sbom::name(release));
    output(command(&python).args(["-c", CHECK]).arg(file)).map(drop)
}
