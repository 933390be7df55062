//! Tests of the settings that a program gets.

use std::fs;

use super::*;

fn tools(pairs: &[(&str, &str)]) -> Tools {
    let environment = pairs.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Tools { environment, folder: "/here".into(), ..Tools::default() }
}

const CONF: &str = "# c\n[global]\nindex-url = https://u:p@conf/simple\nextra-index-url =\n  https://one\n  https://two\n\
                    timeout: 7\n[list]\nproxy = http://no\n[install]\nfind-links = /wheels https://links\n";

#[test]
fn files_and_variables_of_pip() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/pip");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("pip.conf"), CONF).unwrap();
    fs::write(home.path().join(".netrc"), "machine conf").unwrap();
    let home = home.path().to_str().unwrap();
    let check = |more: &[(&str, &str)], name: &str, uv: Option<&str>, step: Option<&str>| {
        let mut pairs = vec![("HOME", home)];
        pairs.extend(more);
        let tools = tools(&pairs);
        let settings = PipSettings::read(&tools);
        let told = settings.for_uv().into_iter().find(|(known, _)| *known == name);
        assert_eq!(told.map(|(_, value)| value).as_deref(), uv, "uv: {name} {more:?}");
        let variables = settings.for_step(&BTreeSet::new()).variables;
        assert_eq!(variables.get(name).map(String::as_str), step, "step: {name} {more:?}");
    };
    check(&[], "UV_DEFAULT_INDEX", Some("https://u:p@conf/simple"), None);
    check(&[], "UV_INDEX", Some("https://one https://two"), None);
    check(&[], "UV_FIND_LINKS", Some("/wheels,https://links"), None);
    check(&[], "PIP_FIND_LINKS", None, Some("https://links"));
    check(&[], "PIP_INDEX_URL", None, Some("https://u:p@conf/simple"));
    check(&[], "PIP_PROXY", None, None);
    check(&[("PIP_INDEX_URL", "https://v")], "PIP_INDEX_URL", None, Some("https://v"));
    check(&[("PIP_INDEX_URL", "https://v")], "UV_DEFAULT_INDEX", Some("https://v"), None);
    check(&[("PIP_CONFIG_FILE", "/dev/null")], "PIP_INDEX_URL", None, None);
    check(&[("UV_INDEX_URL", "https://w")], "UV_DEFAULT_INDEX", None, None);
    let uv = [("UV_INDEX_URL", "https://w"), ("PIP_CONFIG_FILE", "/dev/null")];
    check(&uv, "PIP_INDEX_URL", None, Some("https://w"));
    let uv = [("UV_INDEX", "mine=https://w https://x"), ("PIP_CONFIG_FILE", "/dev/null")];
    check(&uv, "PIP_EXTRA_INDEX_URL", None, Some("https://w https://x"));
    check(&[("PIP_PROXY", "http://p")], "ALL_PROXY", Some("http://p"), None);
    check(&[("PIP_PROXY", "x"), ("https_proxy", "y")], "ALL_PROXY", None, None);
    check(&[("https_proxy", "y")], "https_proxy", None, Some("y"));
    check(&[("UV_FIND_LINKS", "w")], "UV_FIND_LINKS", Some("/here/w"), None);
    check(&[("UV_INDEX_MINE_PASSWORD", "p")], "UV_INDEX_MINE_PASSWORD", Some("p"), None);
    // What names programs and asks for builds.
    for name in ["UV_NO_BINARY", "UV_PYTHON", "UV_NO_BUILD_ISOLATION", "UV_CONFIG_FILE"] {
        check(&[(name, "1")], name, None, None);
    }
    check(&[("PIP_NO_BINARY", ":all:")], "PIP_NO_BINARY", None, None);
}

#[test]
fn files_are_taken_along() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".netrc"), "machine conf").unwrap();
    fs::write(home.path().join("ca.pem"), "ca").unwrap();
    let (home, ca) = (home.path().to_str().unwrap(), home.path().join("ca.pem"));
    let tools = tools(&[
        ("HOME", home),
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("SSL_CERT_FILE", ca.to_str().unwrap()),
    ]);
    let step = PipSettings::read(&tools).for_step(&BTreeSet::new());
    let files: Vec<_> = step.files.iter().map(|(name, content)| (*name, &content[..])).collect();
    assert_eq!(files, [("cert", &b"ca"[..]), ("netrc", b"machine conf")]);
}

#[test]
fn programs_hear_only_what_cannot_choose_a_program() {
    let mut tools = tools(&[
        ("PATH", "bin:/usr/bin:.:/bin"),
        ("HOME", "/project"),
        ("TMPDIR", "/tmp/mine"),
        ("LD_PRELOAD", "/evil.so"),
        ("PYTHONPATH", "/evil"),
        ("GIT_SSH_COMMAND", "evil"),
        ("TOKEN", "hunter2"),
        ("SSL_CERT_FILE", "ca.pem"),
        ("UV_KEYRING_PROVIDER", "subprocess"),
    ]);
    tools.env_file = ["HOME", "UV_KEYRING_PROVIDER"].map(OsString::from).into();
    let named = ["TOKEN", "LD_PRELOAD"].map(str::to_owned).into();
    let settings = PipSettings::read(&tools);
    let heard = settings.shared(&named);
    let heard: Vec<_> =
        heard.iter().map(|(name, value)| (&**name, value.to_str().unwrap())).collect();
    let expected = [
        ("ESB_REQUIREMENT_LD_PRELOAD", "/evil.so"),
        ("ESB_REQUIREMENT_TOKEN", "hunter2"),
        ("PATH", "/usr/bin:/bin"),
        ("SSL_CERT_FILE", "/here/ca.pem"),
        ("TMPDIR", "/tmp/mine"),
    ];
    assert_eq!(heard, expected);
    assert!(settings.secrets(&named).contains(&"hunter2".to_owned()));
}

#[test]
fn files_of_uv() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("uv.toml");
    fs::write(&user, "index-url = 'https://u:p@user'\nno-binary-package = ['six']\nkeyring-provider = 'subprocess'\n")
        .unwrap();
    let tools = tools(&[("UV_CONFIG_FILE", user.to_str().unwrap())]);
    let settings = PipSettings::read(&tools);
    let text = "no-build-isolation = true\nfind-links = ['w']\nno-binary = true\n\
                [[index]]\nname = 'mine'\nurl = './dist'\nexplicit = true\n";
    let project = || UvFile { folder: "/p".into(), table: toml::from_str(text).unwrap() };
    let config = settings.uv_config(Some(project()), false);
    assert_eq!(config.keys().collect::<Vec<_>>(), ["find-links", "index", "index-url"]);
    assert_eq!(config["find-links"][0].as_str(), Some("/p/w"));
    assert_eq!(config["index"][0]["url"].as_str(), Some("/p/./dist"));
    assert_eq!(project().no_binary().as_deref(), Some(":all:"));
    assert_eq!(UvFile::read(&user).unwrap().no_binary().as_deref(), Some("six"));
    let locked = settings.uv_config(Some(project()), true);
    assert!(locked["index"][0].get("explicit").is_none());

    let key = |config: &toml::Table, pairs: &[(&str, &str)]| {
        let mut key = Fingerprint::new("test");
        let tools = self::tools(pairs);
        PipSettings::read(&tools).describe(config, &mut key);
        key.finish()
    };
    let none = [("PIP_CONFIG_FILE", "/dev/null")];
    let index = |url| [none[0], ("PIP_INDEX_URL", url)];
    let mut other = config.clone();
    other.insert("index-url".to_owned(), "https://u:q@user".into());
    assert_eq!(key(&config, &none), key(&other, &none));
    assert_eq!(key(&config, &index("http://u:p@h/")), key(&config, &index("http://u:q@h/")));
    assert_ne!(key(&config, &index("http://h/")), key(&config, &index("http://i/")));
    assert_ne!(key(&config, &none), key(&toml::Table::new(), &none));
}

#[test]
fn lists_of_the_environment_count_from_where_the_user_stands() {
    let tools = tools(&[
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("PIP_CONSTRAINT", "c.txt /d.txt"),
        ("UV_CONSTRAINT", "https://h/c.txt"),
        ("UV_OVERRIDE", "o.txt"),
        ("UV_BUILD_CONSTRAINT", "../b.txt"),
        ("PIP_FIND_LINKS", "wheels"),
    ]);
    let settings = PipSettings::read(&tools);
    assert_eq!(settings.constraints(), ["/here/c.txt", "/d.txt", "https://h/c.txt"]);
    assert_eq!(settings.overrides(), ["/here/o.txt"]);
    assert_eq!(settings.build_constraints(), ["/here/../b.txt"]);
    assert_eq!(settings.for_pip()["PIP_FIND_LINKS"], "/here/wheels");
}

#[test]
fn secrets_of_addresses_and_of_variables_in_them() {
    let found = secrets_of("http://ci:a%2Fb@h/x.whl?sig=12345678&v=1#sha256=0123456789");
    assert_eq!(found, ["a%2Fb", "a/b", "12345678", "12345678"]);
    assert!(secrets_of("http://h/x?v=1").is_empty());
    let tools = Tools {
        environment: vec![("TOKEN".into(), "first/sec%6Fnd?third".into())],
        ..Tools::default()
    };
    let secrets = PipSettings::read(&tools).secrets(&["TOKEN".to_owned()].into());
    for part in ["first", "sec%6Fnd", "third", "first/second?third"] {
        assert!(secrets.iter().any(|secret| secret == part), "{part}: {secrets:?}");
    }
}

#[test]
fn a_named_index_has_its_credentials_for_pip_too() {
    let tools = tools(&[
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("UV_DEFAULT_INDEX", "my-index=https://host/simple"),
        ("UV_INDEX", "other=https://u:p@other/simple https://plain/simple"),
        ("UV_INDEX_MY_INDEX_USERNAME", "ci"),
        ("UV_INDEX_MY_INDEX_PASSWORD", "a/b+c@d"),
        ("UV_INDEX_OTHER_PASSWORD", "x"),
    ]);
    let settings = PipSettings::read(&tools);
    let heard = settings.for_pip();
    assert_eq!(heard["PIP_INDEX_URL"], "https://ci:a%2Fb%2Bc%40d@host/simple");
    assert_eq!(heard["PIP_EXTRA_INDEX_URL"], "https://u:p@other/simple https://plain/simple");
    let secrets = settings.secrets(&BTreeSet::new());
    assert!(secrets.iter().any(|secret| secret == "a%2Fb%2Bc%40d"), "{secrets:?}");
    let config = "[[index]]\nname = 'my-index'\nurl = 'https://host/simple'\n";
    let signed = |name: &str, address: &str| settings.signed(name, address);
    let options = indexes_of_config(&toml::from_str(config).unwrap(), &signed);
    assert_eq!(options, "--extra-index-url https://ci:a%2Fb%2Bc%40d@host/simple\n");
}
