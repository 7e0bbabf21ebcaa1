use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;

fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.into())
}

fn file(path: &Path) -> SecretRef {
    SecretRef::File(Arc::new(path.to_owned()))
}

fn no_variables() -> Secrets {
    Secrets::new(Environment::given([]))
}

fn value(secrets: &Secrets, at: &SecretRef) -> Option<String> {
    secrets.get(at).map(|secret| secret.expose_secret().to_owned())
}

fn faults(missing: &[MissingSecret]) -> Vec<SecretFault> {
    missing.iter().map(|missing| missing.fault).collect()
}

#[test]
fn a_variable_is_read_when_a_policy_names_it() {
    let secrets = Secrets::new(Environment::given([("KEY", " sk-1\n")]));
    assert_eq!(value(&secrets, &env("KEY")), None);
    assert_eq!(secrets.adopt([&env("KEY")].into_iter()), []);
    assert_eq!(value(&secrets, &env("KEY")).as_deref(), Some("sk-1"));
}

#[test]
fn headers_are_ready_and_sensitive() {
    let secrets = Secrets::new(Environment::given([("KEY", "sk-1")]));
    let at = env("KEY");
    secrets.adopt([&at].into_iter());
    assert_eq!(secrets.header(&at, HeaderForm::Bearer).unwrap(), ("Bearer sk-1".parse().unwrap(), 1));
    assert_eq!(secrets.header(&at, HeaderForm::Plain).unwrap(), ("sk-1".parse().unwrap(), 1));
    for form in [HeaderForm::Bearer, HeaderForm::Plain] {
        assert_eq!(format!("{:?}", secrets.header(&at, form).unwrap().0), "Sensitive");
    }
    assert_eq!(secrets.header(&env("OTHER"), HeaderForm::Plain), None);
}

#[test]
fn what_is_missing_is_said_in_a_sentence_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let secrets = Secrets::new(Environment::given([("BLANK", " \n"), ("LINES", "sk-hush\nsk-hush")]));
    let named = [env("NONE"), env("BLANK"), env("LINES"), file(&path), env("NONE"), file(dir.path())];
    let said: Vec<String> = secrets.adopt(named.iter()).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "environment variable NONE is not set".to_owned(),
            "environment variable BLANK is empty".to_owned(),
            "environment variable LINES holds a line break or another character that no header may carry"
                .to_owned(),
            format!("file {} cannot be read: entity not found", path.display()),
            format!("file {} is no regular file", dir.path().display()),
        ]
    );
    assert!(named.iter().all(|at| secrets.get(at).is_none()));
}

#[test]
fn a_file_that_changes_is_picked_up_at_the_next_refresh() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, "sk-1\n").unwrap();
    let secrets = no_variables();
    let at = file(&path);
    assert_eq!(secrets.adopt([&at].into_iter()), []);
    assert_eq!(value(&secrets, &at).as_deref(), Some("sk-1"));
    fs::write(&path, "sk-two \r\n").unwrap();
    secrets.refresh();
    assert_eq!(value(&secrets, &at).as_deref(), Some("sk-two"));
}

#[test]
fn two_writes_of_one_length_within_a_tick_are_both_picked_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let secrets = no_variables();
    let at = file(&path);
    fs::write(&path, "sk-000").unwrap();
    secrets.adopt([&at].into_iter());
    for n in 1..=200 {
        let said = format!("sk-{n:03}");
        fs::write(&path, &said).unwrap();
        // At once, where the clock told the writes apart; else at the refresh after.
        secrets.refresh();
        secrets.refresh();
        assert_eq!(value(&secrets, &at), Some(said));
    }
}

#[test]
fn a_secret_volumes_swapped_symlink_is_picked_up() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for version in ["1", "2"] {
        fs::create_dir(at(&format!("..2026_{version}"))).unwrap();
        fs::write(at(&format!("..2026_{version}/key")), format!("sk-{version}")).unwrap();
    }
    symlink("..2026_1", at("..data")).unwrap();
    symlink("..data/key", at("key")).unwrap();
    let secrets = no_variables();
    let key = file(&at("key"));
    secrets.adopt([&key].into_iter());
    secrets.refresh();
    symlink("..2026_2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    secrets.refresh();
    assert_eq!(value(&secrets, &key).as_deref(), Some("sk-2"));
}

#[test]
fn a_good_value_outlives_a_file_that_goes_bad_and_a_good_one_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, "sk-1").unwrap();
    let secrets = no_variables();
    let at = file(&path);
    secrets.adopt([&at].into_iter());
    for bad in ["", "two\nlines", "schlüssel"] {
        fs::write(&path, bad).unwrap();
        secrets.refresh();
        assert_eq!(value(&secrets, &at).as_deref(), Some("sk-1"), "{bad:?}");
    }
    fs::remove_file(&path).unwrap();
    secrets.refresh();
    assert_eq!(value(&secrets, &at).as_deref(), Some("sk-1"));
    let again = secrets.adopt([&at].into_iter());
    assert_eq!(faults(&again), [SecretFault::Unreadable(std::io::ErrorKind::NotFound)]);
    fs::write(&path, "sk-2").unwrap();
    secrets.refresh();
    assert_eq!(value(&secrets, &at).as_deref(), Some("sk-2"));
}

#[test]
fn a_file_that_comes_or_becomes_readable_after_the_policy_is_picked_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let secrets = no_variables();
    let at = file(&path);
    assert_eq!(secrets.adopt([&at].into_iter()).len(), 1);
    fs::write(&path, "sk-1").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    secrets.refresh();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    secrets.refresh();
    assert_eq!(value(&secrets, &at).as_deref(), Some("sk-1"));
}

#[test]
fn a_file_larger_than_any_key_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, "k".repeat(64 * 1024 + 1)).unwrap();
    assert_eq!(faults(&no_variables().adopt([&file(&path)].into_iter())), [SecretFault::TooLarge]);
}

#[test]
fn a_secret_no_longer_named_serves_calls_in_flight_for_an_hour_and_is_then_forgotten() {
    let secrets = Secrets::new(Environment::given([("OLD", "sk-old"), ("NEW", "sk-new")]));
    let (old, new) = (env("OLD"), env("NEW"));
    secrets.adopt([&old].into_iter());
    secrets.adopt([&new].into_iter());
    for _ in 0..1_000 {
        secrets.refresh();
    }
    secrets.adopt([&new].into_iter());
    assert_eq!(value(&secrets, &old).as_deref(), Some("sk-old"));
    for _ in 0..KEPT_UNNAMED {
        secrets.refresh();
    }
    assert_eq!(value(&secrets, &old), None);
    assert_eq!(value(&secrets, &new).as_deref(), Some("sk-new"), "still named");
}

#[test]
fn a_secret_named_again_is_kept() {
    let secrets = Secrets::new(Environment::given([("KEY", "sk-1")]));
    let at = env("KEY");
    secrets.adopt([&at].into_iter());
    secrets.adopt([].into_iter());
    secrets.adopt([&at].into_iter());
    for _ in 0..=KEPT_UNNAMED {
        secrets.refresh();
    }
    assert_eq!(value(&secrets, &at).as_deref(), Some("sk-1"));
}

#[test]
fn debug_prints_where_secrets_are_and_never_what_they_are() {
    let secrets = Secrets::new(Environment::given([("KEY", "sk-hush")]));
    secrets.adopt([&env("KEY")].into_iter());
    let printed = format!("{secrets:?} {:?}", secrets.get(&env("KEY")));
    assert!(printed.contains("KEY") && !printed.contains("hush"), "{printed}");
}
