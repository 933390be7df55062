//! Images that are not pushed to the registry that their names say.

use std::process::Command;

use crate::project::Project;

#[test]
fn the_summary_says_that_names_lead_where_nothing_was_pushed() {
    let project = Project::new(1);
    let run = |registry: Option<&str>| {
        let json = project.command("store", &["deploy", "--to", "oci"]);
        let mut command = Command::new(json.get_program());
        let arguments =
            json.get_args().map(|word| if word == "json" { "text".as_ref() } else { word });
        command.args(arguments).current_dir(project.path()).env_clear();
        command.envs(json.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.envs(registry.map(|registry| ("CONTAINER_REGISTRY", registry)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run(None);
    assert!(
        said.contains(
            "the images are in an OCI layout, from which the platform's Agent cannot pull"
        ),
        "{said}"
    );
    let said = run(Some("registry.test:5010/team"));
    let reason = "the images have names in `registry.test:5010/team` and are not pushed there";
    assert!(said.contains(reason), "{said}");
    assert!(!said.contains("local names"), "{said}");
}
