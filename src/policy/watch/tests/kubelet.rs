//! A ConfigMap volume, written step by step as the kubelet's AtomicWriter writes it.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::policy::load::{Sources, read, read_with};

/// When an update links the names that are new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Before the swap, as older kubelets do it: the links lead nowhere for a moment.
    LinksFirst,
    /// After the swap, as newer ones do it: new files are not seen for a moment.
    SwapFirst,
}

const ORDERS: [Order; 2] = [Order::LinksFirst, Order::SwapFirst];

/// A ConfigMap volume.
struct Volume {
    place: Place,
    order: Order,
    updates: u32,
}

impl Volume {
    /// A volume with its first state, every file of which holds `0`.
    fn new(order: Order, names: &[&str]) -> Self {
        let mut volume = Self { place: Place::new(), order, updates: 0 };
        volume.update(names);
        volume
    }

    fn path(&self) -> &Path {
        self.place.0.path()
    }

    /// Every file of the next state holds its number.
    fn update(&mut self, names: &[&str]) {
        self.update_and(names, |_| {});
    }

    /// The same, and `look` after each step.
    fn update_and(&mut self, names: &[&str], mut look: impl FnMut(&str)) {
        let at = |name: &str| self.place.at(name);
        let before = fs::read_link(at("..data")).ok();
        let dated = format!("..2026_11_20_10_00_00.{}", self.updates);
        fs::create_dir(at(&dated)).unwrap();
        fs::set_permissions(at(&dated), fs::Permissions::from_mode(0o755)).unwrap();
        look("a dated directory");
        for name in names {
            self.place.write(&format!("{dated}/{name}"), &self.updates.to_string());
            look("a file in it");
        }
        if self.order == Order::LinksFirst {
            self.link(names, &mut look);
        }
        symlink(&dated, at("..data_tmp")).unwrap();
        look("the next link");
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        look("the swap");
        if self.order == Order::SwapFirst {
            self.link(names, &mut look);
        }
        for link in self.visible().into_iter().filter(|link| !names.contains(&link.as_str())) {
            fs::remove_file(at(&link)).unwrap();
            look("a name less");
        }
        if let Some(before) = before {
            for file in fs::read_dir(self.path().join(&before)).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
                look("an old file less");
            }
            fs::remove_dir(self.path().join(before)).unwrap();
            look("the old directory less");
        }
        self.updates += 1;
    }

    fn link(&self, names: &[&str], look: &mut impl FnMut(&str)) {
        for name in names {
            if !self.place.at(name).is_symlink() {
                symlink(format!("..data/{name}"), self.place.at(name)).unwrap();
                look("a name more");
            }
        }
    }

    fn visible(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).filter(|name| !name.starts_with("..")).collect()
    }
}

/// The state after so many updates, as a load gives it.
fn state(number: u32, names: &[&str]) -> Sources {
    names.iter().map(|name| (Arc::from(*name), number.to_string().into_bytes())).collect()
}

/// Names that stay, come and go, one update after another.
const UPDATES: [&[&str]; 5] = [
    &["a.yaml", "b.yaml"],
    &["a.yaml", "b.yaml", "c.yaml"],
    &["b.yaml", "d.yaml"],
    &["d.yaml"],
    &["a.yaml", "b.yaml"],
];

#[tokio::test]
async fn every_update_of_a_config_map_is_told_once_for_the_directory() {
    for order in ORDERS {
        let mut volume = Volume::new(order, &["a.yaml"]);
        let mut watch = Watch::start(volume.path());
        for (number, names) in (1..).zip(UPDATES) {
            volume.update(names);
            assert_eq!(told(&mut watch).await, Why::Event, "update {number}, {order:?}");
            assert_eq!(read(volume.path()).unwrap(), state(number, names));
            nothing_told(&mut watch).await;
        }
    }
}

#[tokio::test]
async fn every_update_of_a_config_map_is_told_once_for_a_file_in_it() {
    for order in ORDERS {
        let mut volume = Volume::new(order, &["policy.yaml", "other.yaml"]);
        let mut watch = Watch::start(volume.place.at("policy.yaml"));
        for number in 1..=4 {
            volume.update(&["policy.yaml"]);
            assert_eq!(told(&mut watch).await, Why::Event, "update {number}, {order:?}");
            assert_eq!(text(&watch), number.to_string());
            nothing_told(&mut watch).await;
        }
    }
}

#[tokio::test]
async fn every_update_of_an_overlays_config_map_is_told_once() {
    for order in ORDERS {
        let (policy, mut volume) = (Place::new(), Volume::new(order, &["prod.yaml"]));
        policy.write("policy.yaml", "a");
        let overlays = [volume.place.at("prod.yaml")];
        let mut watch = Watch::start_all(policy.at("policy.yaml"), &overlays);
        for number in 1..=4 {
            volume.update(&["prod.yaml"]);
            assert_eq!(told(&mut watch).await, Why::Event, "update {number}, {order:?}");
            let sources = read_with(watch.path(), watch.overlays()).unwrap();
            assert_eq!(sources.files()[1].bytes, number.to_string().as_bytes());
            nothing_told(&mut watch).await;
        }
    }
}

#[test]
fn after_each_step_of_an_update_a_load_gives_the_old_state_or_the_new_one_whole() {
    for order in ORDERS {
        let mut volume = Volume::new(order, &["a.yaml"]);
        let folder = volume.path().to_owned();
        let mut before = state(0, &["a.yaml"]);
        for (number, names) in (1..).zip(UPDATES) {
            let after = state(number, names);
            let mut swapped = false;
            volume.update_and(names, |step| {
                swapped |= step == "the swap";
                let found = read(&folder).unwrap();
                assert_eq!(
                    &found,
                    if swapped { &after } else { &before },
                    "{step} of update {number}, {order:?}"
                );
            });
            before = after;
        }
    }
}

#[test]
fn a_file_that_is_no_part_of_the_config_map_is_read_beside_it() {
    let volume = Volume::new(Order::SwapFirst, &["a.yaml"]);
    volume.place.write("mounted.yaml", "0");
    assert_eq!(read(volume.path()).unwrap(), state(0, &["a.yaml", "mounted.yaml"]));
}

#[tokio::test(start_paused = true)]
async fn where_the_node_has_no_watch_left_every_update_is_found_by_looking_within_two_seconds() {
    let mut volume = Volume::new(Order::SwapFirst, &["a.yaml"]);
    let no_instance_left = notify::Error::io(io::Error::from_raw_os_error(EMFILE));
    let mut watch = Watch::without_events(volume.path()).armed_with(Err(no_instance_left));
    assert!(!watch.has_events());
    for (number, names) in (1..).zip(UPDATES) {
        volume.update(names);
        assert_eq!(told(&mut watch).await, Why::Poll);
        assert_eq!(read(volume.path()).unwrap(), state(number, names));
    }
}

/// What `inotify_init` gives where a user's instances are used up.
const EMFILE: i32 = 24;
