//! Real files, real events. The clock runs, so that the poll after ten seconds cannot stand in for a lost event.

mod kubelet;

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::policy::store::PolicyStore;
use crate::policy::store::tests::snapshot;

/// A directory of its own for one test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }
}

/// The next change, which must come by an event, within the two seconds that are promised.
async fn told(watch: &mut Watch) -> Why {
    timeout(Duration::from_secs(2), watch.changed()).await.expect("told of the change within two seconds")
}

/// Nothing is told of for longer than a burst may take to settle.
async fn nothing_told(watch: &mut Watch) {
    let told = timeout(QUIET * 4, watch.changed()).await;
    assert!(told.is_err(), "told of a change: {told:?}");
}

/// The policy's text as a reload would find it.
fn text(watch: &Watch) -> String {
    fs::read_to_string(watch.path()).unwrap_or_default()
}

#[tokio::test]
async fn a_plain_write_is_told_each_time() {
    let place = Place::new();
    place.write("policy.yaml", "a");
    let mut watch = Watch::start(place.at("policy.yaml"));
    assert!(watch.has_events());
    for said in ["b", "c", "d"] {
        place.write("policy.yaml", said);
        assert_eq!(told(&mut watch).await, Why::Event);
        assert_eq!(text(&watch), said);
    }
}

#[tokio::test]
async fn an_editors_rename_and_replace_is_told_each_time() {
    let place = Place::new();
    place.write("policy.yaml", "a");
    let mut watch = Watch::start(place.at("policy.yaml"));
    for said in ["b", "c", "d"] {
        // As vim does it: the old file becomes the backup, the new one takes its name.
        fs::rename(place.at("policy.yaml"), place.at("policy.yaml~")).unwrap();
        place.write(".policy.yaml.new", said);
        fs::rename(place.at(".policy.yaml.new"), place.at("policy.yaml")).unwrap();
        assert_eq!(told(&mut watch).await, Why::Event);
        assert_eq!(text(&watch), said);
    }
}

#[tokio::test]
async fn a_file_deleted_and_made_again_is_told_twice() {
    let place = Place::new();
    place.write("policy.yaml", "a");
    let mut watch = Watch::start(place.at("policy.yaml"));
    for said in ["b", "c"] {
        fs::remove_file(place.at("policy.yaml")).unwrap();
        told(&mut watch).await;
        place.write("policy.yaml", said);
        told(&mut watch).await;
        assert_eq!(text(&watch), said);
    }
}

#[tokio::test]
async fn a_file_that_did_not_exist_and_its_directories_are_told_when_they_come() {
    let place = Place::new();
    let mut watch = Watch::start(place.at("etc/egret/policy.yaml"));
    fs::create_dir_all(place.at("etc/egret")).unwrap();
    nothing_told(&mut watch).await;
    place.write("etc/egret/policy.yaml", "a");
    assert_eq!(told(&mut watch).await, Why::Event);
}

#[tokio::test]
async fn files_of_a_directory_are_told_when_they_come_change_and_go() {
    let place = Place::new();
    fs::create_dir(place.at("policies")).unwrap();
    place.write("policies/a.yaml", "a");
    let mut watch = Watch::start(place.at("policies"));
    place.write("policies/b.yml", "b");
    told(&mut watch).await;
    place.write("policies/a.yaml", "c");
    told(&mut watch).await;
    fs::remove_file(place.at("policies/b.yml")).unwrap();
    told(&mut watch).await;
}

#[tokio::test]
async fn overlays_are_told_when_they_change_come_and_go() {
    let place = Place::new();
    fs::create_dir(place.at("overlays")).unwrap();
    place.write("policy.yaml", "a");
    place.write("overlays/prod.yaml", "a");
    let overlays = [place.at("overlays/prod.yaml"), place.at("more")];
    let mut watch = Watch::start_all(place.at("policy.yaml"), &overlays);
    assert_eq!(watch.overlays(), overlays);
    place.write("overlays/prod.yaml", "b");
    assert_eq!(told(&mut watch).await, Why::Event);
    place.write("overlays/other.yaml", "x");
    nothing_told(&mut watch).await;
    fs::create_dir(place.at("more")).unwrap();
    place.write("more/b.yaml", "b");
    told(&mut watch).await;
    place.write("policy.yaml", "b");
    told(&mut watch).await;
    fs::remove_file(place.at("overlays/prod.yaml")).unwrap();
    told(&mut watch).await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_told_and_watched_on() {
    let place = Place::new();
    for name in ["policies", "next"] {
        fs::create_dir(place.at(name)).unwrap();
    }
    place.write("policies/a.yaml", "a");
    place.write("next/a.yaml", "b");
    let mut watch = Watch::start(place.at("policies"));
    fs::rename(place.at("policies"), place.at("old")).unwrap();
    fs::rename(place.at("next"), place.at("policies")).unwrap();
    told(&mut watch).await;
    place.write("policies/a.yaml", "c");
    told(&mut watch).await;
    fs::remove_dir_all(place.at("policies")).unwrap();
    told(&mut watch).await;
    fs::create_dir(place.at("policies")).unwrap();
    place.write("policies/a.yaml", "d");
    told(&mut watch).await;
    place.write("policies/a.yaml", "e");
    told(&mut watch).await;
}

#[tokio::test]
async fn the_directory_of_a_file_that_is_replaced_is_told_and_watched_on() {
    let place = Place::new();
    fs::create_dir(place.at("conf")).unwrap();
    place.write("conf/policy.yaml", "a");
    let mut watch = Watch::start(place.at("conf/policy.yaml"));
    fs::rename(place.at("conf"), place.at("old")).unwrap();
    told(&mut watch).await;
    fs::create_dir(place.at("conf")).unwrap();
    place.write("conf/policy.yaml", "b");
    told(&mut watch).await;
    place.write("conf/policy.yaml", "c");
    told(&mut watch).await;
    assert_eq!(text(&watch), "c");
}

#[tokio::test]
async fn a_symlink_on_the_way_that_is_turned_and_the_file_behind_it_are_told() {
    let place = Place::new();
    for release in ["releases/1", "releases/2"] {
        fs::create_dir_all(place.at(release)).unwrap();
        place.write(&format!("{release}/policy.yaml"), release);
    }
    symlink("releases/1", place.at("current")).unwrap();
    let mut watch = Watch::start(place.at("current/policy.yaml"));
    symlink("releases/2", place.at("turned")).unwrap();
    fs::rename(place.at("turned"), place.at("current")).unwrap();
    told(&mut watch).await;
    assert_eq!(text(&watch), "releases/2");
    place.write("releases/2/policy.yaml", "edited in place");
    told(&mut watch).await;
}

#[tokio::test]
async fn reading_touching_and_what_is_no_policy_is_not_told() {
    let place = Place::new();
    place.write("policy.yaml", "a");
    let mut watch = Watch::start(place.at("policy.yaml"));
    text(&watch);
    place.write("policy.yaml", "a");
    place.write("other.txt", "x");
    nothing_told(&mut watch).await;
}

#[tokio::test]
async fn a_burst_of_writes_gives_few_reloads_and_ends_on_the_last() {
    let place = Place::new();
    place.write("policy.yaml", "start");
    let mut watch = Watch::start(place.at("policy.yaml"));
    let burst = place.at("policy.yaml");
    let writer = std::thread::spawn(move || {
        for n in 1..=200 {
            fs::write(&burst, n.to_string()).unwrap();
        }
    });
    let mut reloads = 0;
    loop {
        told(&mut watch).await;
        reloads += 1;
        if text(&watch) == "200" && writer.is_finished() {
            break;
        }
    }
    assert!(reloads <= 10, "{reloads} reloads for one burst");
    nothing_told(&mut watch).await;
}

#[tokio::test]
async fn sighup_asks_for_a_reload_though_nothing_changed() {
    let place = Place::new();
    place.write("policy.yaml", "a");
    let mut watch = Watch::start(place.at("policy.yaml")).on_hangup().unwrap();
    let pid = std::process::id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    assert_eq!(told(&mut watch).await, Why::Hangup);
}

#[tokio::test(start_paused = true)]
async fn without_events_a_change_is_found_by_looking_within_two_seconds() {
    let place = Place::new();
    let mut watch = Watch::without_events(place.at("policy.yaml"));
    for said in ["a", "b"] {
        place.write("policy.yaml", said);
        assert_eq!(told(&mut watch).await, Why::Poll);
    }
    let quiet = timeout(Duration::from_secs(3_600), watch.changed()).await;
    assert!(quiet.is_err());
}

/// A stand-in for load and compile: `good REVISION` is a policy, all else is not.
fn load(path: &Path) -> Result<Loaded, LoadFault> {
    let text = fs::read_to_string(path).map_err(|error| LoadFault::Unreadable(error.to_string()))?;
    match text.strip_prefix("good ") {
        Some(revision) => Ok(Loaded { snapshot: snapshot(revision), warnings: Vec::new() }),
        None => Err(LoadFault::Bad(format!("no policy: {text}"))),
    }
}

#[tokio::test]
async fn a_bad_policy_keeps_the_last_good_one_until_the_next_good_one() {
    let place = Place::new();
    place.write("policy.yaml", "good a");
    let store = PolicyStore::new(snapshot("a"), Vec::new(), Timestamp::UNIX_EPOCH);
    let clock = Clock::standing(Timestamp::UNIX_EPOCH);
    let mut watch = Watch::start(place.at("policy.yaml"));
    for (text, in_force, bad) in
        [("nonsense", "a", true), ("good b", "b", false), ("", "b", true), ("good b", "b", false)]
    {
        place.write("policy.yaml", text);
        told(&mut watch).await;
        reload(&store, watch.path(), load, &clock).await;
        let status = store.status();
        assert_eq!(status.in_force.unwrap().label.as_deref(), Some(in_force), "after {text:?}");
        assert_eq!(status.fault.is_some(), bad, "after {text:?}");
    }
}

/// Follows until the policy in force has this label, for at most five seconds.
async fn followed_to(store: &PolicyStore, watch: Watch, label: &str) {
    let clock = Clock::standing(Timestamp::UNIX_EPOCH);
    let in_force = || store.load().and_then(|policy| policy.label.clone());
    let arrived = async {
        while in_force().as_deref() != Some(label) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = follow(store, watch, load, &clock) => unreachable!("follows for ever"),
        () = arrived => {}
        () = sleep(Duration::from_secs(5)) => {}
    }
    assert_eq!(in_force().as_deref(), Some(label));
}

#[tokio::test]
async fn following_brings_an_edit_into_force_and_ends_when_dropped() {
    let place = Place::new();
    place.write("policy.yaml", "good a");
    let store = PolicyStore::new(snapshot("a"), Vec::new(), Timestamp::UNIX_EPOCH);
    let watch = Watch::start(place.at("policy.yaml"));
    place.write("policy.yaml", "good b");
    followed_to(&store, watch, "b").await;
}

#[tokio::test]
async fn a_thousand_good_and_broken_swaps_end_on_the_last_good_one() {
    let place = Place::new();
    place.write("policy.yaml", "good 0");
    let store = PolicyStore::new(snapshot("0"), Vec::new(), Timestamp::UNIX_EPOCH);
    let watch = Watch::start(place.at("policy.yaml"));
    let [next, policy] = [".next", "policy.yaml"].map(|name| place.at(name));
    let writer = std::thread::spawn(move || {
        for n in 1..=1_000 {
            let text = if n % 3 == 1 { "broken".to_owned() } else { format!("good {n}") };
            let text = if n == 1_000 { "good last" } else { &text };
            fs::write(&next, text).unwrap();
            fs::rename(&next, &policy).unwrap();
        }
    });
    followed_to(&store, watch, "last").await;
    writer.join().unwrap();
    assert_eq!(store.status().fault, None);
}
