use std::fs;

use super::*;

#[test]
fn a_folder_gives_its_yaml_files_sorted_and_no_dot_names() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("b.yml", "2"), ("a.yaml", "1"), (".a.yaml.swp", "x"), (".hidden.yaml", "x"), ("notes.md", "x")]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::create_dir(folder.path().join("more.yaml")).unwrap();

    let sources = read(folder.path()).unwrap();

    let names: Vec<&str> = sources.files().iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["a.yaml", "b.yml"]);
}

#[cfg(unix)]
#[test]
fn a_config_map_is_read_through_its_links() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("..2026_01_01")).unwrap();
    fs::write(folder.path().join("..2026_01_01/policy.yaml"), "text").unwrap();
    symlink("..2026_01_01", folder.path().join("..data")).unwrap();
    symlink("..data/policy.yaml", folder.path().join("policy.yaml")).unwrap();

    assert_eq!(read(folder.path()).unwrap(), Sources::single("policy.yaml", "text"));
}

#[cfg(unix)]
#[test]
fn files_of_two_states_of_a_config_map_are_never_mixed() {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write_state = |state: usize| {
        fs::create_dir(at(&format!("..{state}"))).unwrap();
        for file in ["a.yaml", "b.yaml", "c.yaml"] {
            fs::write(at(&format!("..{state}/{file}")), state.to_string()).unwrap();
        }
    };
    write_state(0);
    symlink("..0", at("..data")).unwrap();
    for file in ["a.yaml", "b.yaml", "c.yaml"] {
        symlink(format!("..data/{file}"), at(file)).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for state in 1..200 {
                write_state(state);
                symlink(format!("..{state}"), at("..data_tmp")).unwrap();
                fs::rename(at("..data_tmp"), at("..data")).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            // Swapped too fast is an answer, too.
            let Ok(sources) = read(folder.path()) else {
                continue;
            };
            let states: Vec<_> = sources.files().iter().map(|file| file.bytes.clone()).collect();
            assert!(states.windows(2).all(|two| two[0] == two[1]), "{states:?}");
        }
    });
    assert_eq!(read(folder.path()).unwrap().files()[0].bytes, b"199");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("policy.yaml")).unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(error.to_string().ends_with("policy.yaml"), "{error}");
}

#[test]
fn a_folder_without_policy_files_and_a_path_that_is_not_there_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(folder.path()), Err(LoadError::NoFiles { .. })));
    assert!(matches!(read(&folder.path().join("none.yaml")), Err(LoadError::Io { .. })));
}

#[test]
fn files_that_are_too_large_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let half = vec![b' '; MAX_BYTES / 2];
    fs::write(folder.path().join("a.yaml"), &half).unwrap();
    fs::write(folder.path().join("b.yaml"), &half).unwrap();
    assert!(read(folder.path()).is_ok());

    fs::write(folder.path().join("c.yaml"), " ").unwrap();
    assert!(matches!(read(folder.path()), Err(LoadError::TooLarge { .. })));
}

#[test]
fn the_revision_follows_names_and_bytes_and_not_the_order_in_which_files_were_found() {
    let a = (Arc::from("a.yaml"), b"x".to_vec());
    let b = (Arc::from("b.yaml"), b"y".to_vec());
    let both = Sources::from_iter([a.clone(), b.clone()]);
    assert_eq!(both.revision(), Sources::from_iter([b, a.clone()]).revision());
    assert_ne!(both.revision(), Sources::from_iter([a]).revision());
    assert_ne!(Sources::single("a", "bc").revision(), Sources::single("ab", "c").revision());
    assert!(both.revision().as_str().bytes().all(|b| b.is_ascii_hexdigit()));
}
