//! Images that are built at the same time come out of the engine in one stream.

use std::{collections::BTreeMap, fs, path::Path};

use esb_image::{
    Action, Base, Error,
    docker::{DockerBuilder, DockerEngine},
};
use esb_oci::ContentStore;
use futures_util::future::join_all;

use crate::contract::support::{Bench, File, image, local, recipe, write};

/// `log` is that of an engine that writes down every request.
pub(crate) async fn many_images_share_a_stream(
    engine: &DockerEngine,
    store: &ContentStore,
    folder: &Path,
    log: &Path,
) {
    let root = folder.join("many");
    write(&root, &[("1/a", "1"), ("2/a", "2"), ("3/a", "3"), ("same/a", "same")]);
    let base = image(store, &[&[File("etc/many", 0o644, b"base")]]);
    let name = "registry:5010/many:1";
    let base = Base { image: base, pullable: None, name: name.to_owned() };
    let bases = BTreeMap::from([(name.to_owned(), base)]);
    let of = |image: &str, from: &str| {
        recipe(image, &format!("FROM {name}\nCOPY same/ /same/\nCOPY {from}/ /task/\n"))
    };
    let recipes = [
        of("esb-many-1", "1"),
        of("esb-many-2", "2"),
        of("esb-many-twin", "2"),
        of("esb-many-none", "none"),
        of("esb-many-3", "3"),
    ];
    let streams = || fs::read_to_string(log).unwrap().matches("/images/get?").count();
    let before = streams();
    let builder = DockerBuilder::new(engine.clone(), store.clone()).with_jobs(2);
    let together = bench(&builder, &root, &bases);
    let built = join_all(recipes.iter().map(|recipe| together.try_build(recipe, false))).await;
    assert_eq!(streams(), before + 1);
    for (recipe, built) in recipes.iter().zip(&built) {
        if recipe.repository == "esb-many-none" {
            assert!(matches!(built, Err(Error::MissingSource { .. })), "{built:?}");
            continue;
        }
        let built = local(built.as_ref().unwrap());
        // One at a time, elsewhere, with nothing at hand: the same.
        let other = ContentStore::open(folder.join(&recipe.repository)).unwrap();
        let builder = DockerBuilder::new(engine.clone(), other);
        let alone = bench(&builder, &root, &bases).try_build(recipe, true).await.unwrap();
        assert_eq!(built.descriptor, local(&alone).descriptor);
    }
    let tasks: Vec<_> = [0, 1, 2, 4]
        .map(|number| local(built[number].as_ref().unwrap()).layers[2].descriptor.digest)
        .into();
    assert_eq!(tasks[1], tasks[2]);
    assert!(tasks[0] != tasks[1] && tasks[1] != tasks[3]);

    // What this machine has of an earlier run is not asked for.
    let before = fs::read_to_string(log).unwrap().matches("Calling ").count();
    assert!(before > 10);
    let again = bench(&builder, &root, &bases).build(&recipes[0]).await;
    assert_eq!(again.action, Action::Cached);
    assert_eq!(fs::read_to_string(log).unwrap().matches("Calling ").count(), before);
}

fn bench<'a>(
    builder: &'a DockerBuilder,
    root: &'a Path,
    bases: &BTreeMap<String, Base>,
) -> Bench<'a> {
    Bench { builder, root, bases: bases.clone(), heard: <_>::default() }
}
