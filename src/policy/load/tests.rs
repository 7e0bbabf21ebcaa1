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

/// Names and texts, each with its layer.
fn layers(sources: &Sources) -> Vec<(Role, &str, &str)> {
    let files = sources.files().iter();
    files.map(|file| (file.role, &*file.name, std::str::from_utf8(&file.bytes).unwrap())).collect()
}

#[test]
fn overlays_follow_the_policy_in_their_order_each_a_file_or_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    for folder in ["base", "prod"] {
        fs::create_dir(at(folder)).unwrap();
    }
    for name in ["base/b.yaml", "base/a.yaml", "prod/z.yaml", "prod/y.yaml", "prod/notes.md", "local.yaml"] {
        fs::write(at(name), name).unwrap();
    }
    let sources = read_with(&at("base"), &[at("prod"), at("local.yaml")]).unwrap();
    let named = |name: &str| at(name).display().to_string();
    let [y, z, local] = [named("prod/y.yaml"), named("prod/z.yaml"), named("local.yaml")];
    assert_eq!(
        layers(&sources),
        [
            (Role::Base, "a.yaml", "base/a.yaml"),
            (Role::Base, "b.yaml", "base/b.yaml"),
            (Role::Overlay(0), &y, "prod/y.yaml"),
            (Role::Overlay(0), &z, "prod/z.yaml"),
            (Role::Overlay(1), &local, "local.yaml"),
        ]
    );
    assert_eq!(read(&at("base")).unwrap(), read_with(&at("base"), &[]).unwrap());
}

#[test]
fn an_overlay_that_is_part_of_the_policy_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("policy.yaml"), "a").unwrap();
    fs::write(at("prod.yaml"), "b").unwrap();
    let refused = |policy: &str, overlay: &str| match read_with(&at(policy), &[at(overlay)]) {
        Err(LoadError::OverlayInPolicy { path }) => path == at(overlay),
        Err(_) | Ok(_) => false,
    };
    assert!(refused("", "prod.yaml"), "a file in the folder");
    assert!(refused("", ""), "the folder itself");
    assert!(refused("policy.yaml", "policy.yaml"), "the file itself");
    assert!(!refused("policy.yaml", "prod.yaml"), "a file beside it");
}

#[test]
fn an_overlay_that_cannot_be_read_or_makes_the_policy_too_large_is_named() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("policy.yaml"), vec![b' '; MAX_BYTES / 2]).unwrap();
    fs::write(at("prod.yaml"), vec![b' '; MAX_BYTES / 2 + 1]).unwrap();
    let error = |overlay: &str| read_with(&at("policy.yaml"), &[at(overlay)]).unwrap_err();
    assert!(matches!(error("prod.yaml"), LoadError::TooLarge { path } if path == at("prod.yaml")));
    assert!(matches!(error("none.yaml"), LoadError::Io { path, .. } if path == at("none.yaml")));
}

#[cfg(unix)]
#[test]
fn a_policy_and_an_overlay_in_one_config_map_are_of_one_state() {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let swap = |state: usize| {
        fs::create_dir(at(&format!("..{state}"))).unwrap();
        for file in ["policy.yaml", "prod.yaml"] {
            fs::write(at(&format!("..{state}/{file}")), state.to_string()).unwrap();
        }
        symlink(format!("..{state}"), at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    swap(0);
    for file in ["policy.yaml", "prod.yaml"] {
        symlink(format!("..data/{file}"), at(file)).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (1..200).for_each(swap);
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            // Swapped too fast is an answer, too.
            let Ok(sources) = read_with(&at("policy.yaml"), &[at("prod.yaml")]) else {
                continue;
            };
            assert_eq!(sources.files()[0].bytes, sources.files()[1].bytes);
        }
    });
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

#[test]
fn the_revision_of_a_policy_without_overlays_is_what_it_always_was() {
    // printf '\0\0\0\0\0\0\0\x0bpolicy.yaml\0\0\0\0\0\0\0\x04text' | sha256sum
    assert_eq!(Sources::single("policy.yaml", "text").revision().as_str(), "1e2feba7ea86");
}

#[test]
fn the_revision_follows_overlays_and_their_order_and_not_where_they_lie() {
    let base = || Sources::single("policy.yaml", "x");
    let file = |name: &str, text: &str| (Arc::from(name), text.as_bytes().to_vec());
    let of = |sources: Sources| sources.revision();
    let [a, b] = [("a.yaml", "1"), ("b.yaml", "2")].map(|(name, text)| file(name, text));
    let both = of(base().overlaid([a.clone()]).overlaid([b.clone()]));
    let others = [
        of(base()),
        of(base().overlaid([a.clone()])),
        of(base().overlaid([file("a.yaml", "2")])),
        of(base().overlaid([b.clone()]).overlaid([a.clone()])),
        of(base().overlaid([a.clone(), b.clone()])),
        of(Sources::from_iter([file("policy.yaml", "x"), a, b])),
    ];
    assert!(others.iter().all(|other| *other != both), "{others:?}");
    let elsewhere = [file("/etc/egret/a.yaml", "1"), file("./b.yaml", "2")];
    assert_eq!(of(elsewhere.into_iter().fold(base(), |sources, one| sources.overlaid([one]))), both);
}
