//! Checks that a fleet makes before it sends a request to a daemon.

use std::{fs, sync::mpsc, thread, time::Duration};

use esb_model::BuildContext;

use super::*;
use crate::{context::stat_cache::FolderStats, dockerfile::rewrite::tests::recipe};

/// No test waits longer.
const LIMIT: Duration = Duration::from_mins(1);

/// The first context cannot be read before the second one was: one after the other would end
/// nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contexts_are_read_side_by_side() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let store = ContentStore::open(root.join("store")).unwrap();
    let daemons = ["unix:///nowhere/1", "unix:///nowhere/2"].map(|text| text.parse().unwrap());
    let settings = FleetSettings { daemons: daemons.into(), ..FleetSettings::default() };
    let fleet = FleetBuilder::new(settings, store.clone()).unwrap();
    let recipes = ["a", "b"].map(|name| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("file"), name).unwrap();
        let context = BuildContext { folder: name.into() };
        recipe("FROM scratch\nCOPY . /\n").with_repository(name.to_owned()).with_context(context)
    });
    let bases = BTreeMap::new();
    let request = |recipe| BuildRequest::new(recipe, &root, &bases);
    let requests: Vec<_> = recipes.iter().map(request).collect();

    let (held, is_held) = mpsc::channel();
    let first = fleet.0.stats.folder(&root.join("a"), true);
    let key = Digest::of(root.join("b").as_os_str().as_encoded_bytes());
    let second_is_read = move || store.record::<serde_json::Value>("stat", key).is_some();
    let holder = thread::spawn(move || {
        let _first = FolderStats::lock(&first);
        held.send(()).unwrap();
        for _ in 0..LIMIT.as_millis() / 10 {
            if second_is_read() {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    });
    is_held.recv_timeout(LIMIT).unwrap();
    assert_eq!(fleet.place(&requests).await.len(), 2);
    assert!(holder.join().unwrap(), "the second context waits for the first");
}

/// Settings are complete before there is a builder: a clone is nothing that could be missing.
#[test]
fn a_builder_and_its_clones_share_credentials() {
    #[derive(Debug)]
    struct Source;

    impl CredentialSource for Source {
        fn credentials(
            &self,
            _: &str,
        ) -> Result<Option<esb_oci::Credentials>, esb_oci::CredentialError> {
            Ok(Some(esb_oci::Credentials::identity_token("token")))
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let store = ContentStore::open(folder.path()).unwrap();
    let settings = FleetSettings {
        daemons: vec!["unix:///nowhere".parse().unwrap()],
        credentials: Some(Arc::new(Source)),
        ..FleetSettings::default()
    };
    let builder = FleetBuilder::new(settings, store.clone()).unwrap();
    let clone = builder.clone();
    let isolated = clone.isolated(StepSecrets::new(), store);
    for builder in [&builder, &clone, &isolated] {
        let credentials = &builder.0.config.credentials;
        credentials.allow("r.example");
        assert!(credentials.ask("r.example").unwrap().is_some());
    }
}
