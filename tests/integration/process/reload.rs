//! Policies that change while calls run.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use egret::mock::Script;
use tempfile::TempDir;
use tokio::time::Instant;

use super::client::{Connection, ask, chat, stream};
use super::policy;
use super::provider::Provider;
use super::support::{Egret, PolicyFile, egret_of_a_user, eventually, within};

/// Long enough that hardly a call leaks out of it during a test.
const WINDOW_SECONDS: u64 = 31 * 24 * 3_600;

#[test]
fn five_hundred_edits_of_a_file_lose_no_call_and_no_count() {
    let provider = Provider::prompt();
    let variants = Variants::of(provider.address);
    let file = PolicyFile::new(&variants.good[0]);
    let egret = Egret::run(&file.path, &["--workers", "2"]);

    let calls = under_load(&egret, &variants.revisions(), || {
        for edit in 0..500 {
            let text = variants.at(edit);
            match edit % 3 {
                0 => file.write(text),
                1 => file.replace(text),
                _ => {
                    let before = reloads(&egret);
                    file.replace(text);
                    egret.signal("HUP");
                    eventually("SIGHUP reloads", || reloads(&egret) > before);
                }
            }
        }
    });

    settles_on(&egret, variants.last());
    counted(&egret, &calls);
    assert!(egret.metric("egret_policy_reloads_total{result=\"rejected\"}") > 0, "no bad text was met");
    assert!(egret.metric("egret_policy_reloads_total{result=\"accepted\"}") > 1, "no good text was met");
}

#[test]
fn peer_bug_22_five_hundred_updates_of_a_config_map_lose_no_call_and_no_count() {
    let provider = Provider::prompt();
    let variants = Variants::of(provider.address);
    let map = ConfigMap::new(&variants.good[0]);
    let egret = Egret::run(map.folder.path(), &["--workers", "2"]);

    let calls = under_load(&egret, &variants.revisions(), || {
        for update in 0..500 {
            map.update(update, variants.at(update));
            // Some are waited for: by its events alone, it has to come into force.
            if update % 60 == 10 {
                settles_on(&egret, variants.at(update));
            }
        }
    });

    settles_on(&egret, variants.last());
    counted(&egret, &calls);
}

#[test]
fn files_that_may_be_read_only_a_moment_after_the_swap_are_no_bad_policy() {
    let [before, after] = ["[small]", "[large]"].map(|allow| policy::with("{ mock: {} }", allow, "{}"));
    let (map, place) = (ConfigMap::new(&before), tempfile::tempdir().unwrap());
    for folder in [map.folder.path(), place.path()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = egret_of_a_user(place.path(), "run");
    let egret = Egret::start(command.arg("--policy").arg(map.folder.path()).args(["--log", "debug"]));
    for (number, text) in [(0, &after), (1, &before), (2, &after)] {
        // Of another length each: two files that cannot be read are otherwise the same.
        let text = &format!("{text}{}", "#".repeat(number));
        let met = || egret.diagnostics().iter().filter(|line| line.contains("Permission denied")).count();
        let already = met();

        // As a kubelet with `fsGroup` does it: the group gets the files after the swap.
        map.update_with_mode(number, text, 0o000);
        eventually("the files cannot be read", || met() > already);
        let file = map.folder.path().join("policy.yaml").canonicalize().unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();

        within(Duration::from_secs(2), "the update is in force", || {
            egret.json("/policy")["revision"] == revision(text).as_str()
        });
    }
    assert_eq!(egret.metric("egret_policy_reloads_total{result=\"rejected\"}"), 0);
    assert_eq!(egret.metric("egret_policy_faulty"), 0);
}

#[test]
fn an_edit_changes_what_callers_may_ask_for_within_two_seconds() {
    let provider = "{ mock: {} }";
    let before = policy::with(provider, "[small]", "{}");
    let after = policy::with(provider, "[small, large]", "{}");
    let (file, map) = (PolicyFile::new(&before), ConfigMap::new(&before));
    let edits: [(&Path, &dyn Fn()); 3] = [
        (&file.path, &|| file.write(&after)),
        (&file.path, &|| file.replace(&after)),
        (map.folder.path(), &|| map.update(1, &after)),
    ];
    for (path, edit) in edits {
        file.replace(&before);
        let egret = Egret::run(path, &[]);
        let refused = ask(egret.listen, &chat("large"));
        assert_eq!((refused.status, refused.code().as_str()), (403, "model_not_allowed"));
        edit();
        within(Duration::from_secs(2), "the edit is in force", || {
            ask(egret.listen, &chat("large")).status == 200
        });
    }
}

#[test]
fn peer_bug_23_a_broken_edit_is_told_everywhere_once_and_changes_nothing() {
    let file = PolicyFile::new(&policy::scripted());
    let egret = Egret::run(&file.path, &[]);
    let good = egret.json("/policy")["revision"].clone();

    file.write(&policy::scripted().replace("local: true", "lokal: true"));
    eventually("the fault shows", || egret.metric("egret_policy_faulty") == 1);
    for _ in 0..3 {
        let before = reloads(&egret);
        egret.signal("HUP");
        eventually("SIGHUP reloads", || reloads(&egret) > before);
    }

    let page = egret.json("/policy");
    assert_eq!(page["revision"], good);
    assert_eq!(page["lastReload"]["result"], "rejected");
    assert!(page["fault"].as_str().unwrap().contains("unknown field `lokal`"), "{page:#}");
    let told = |line: &&String| line.contains("hold no good policy");
    assert_eq!(egret.diagnostics().iter().filter(told).count(), 1);
    assert_eq!(egret.page("/readyz").status, 200);
    let answer = ask(egret.listen, &chat("small"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-egret-policy"), good.as_str());

    file.write(&policy::scripted());
    eventually("the fault is over", || egret.metric("egret_policy_faulty") == 0);
    assert!(egret.json("/policy")["fault"].is_null());
}

#[test]
fn a_policy_that_vanishes_stays_in_force_until_the_next_good_one() {
    let file = PolicyFile::new(&policy::scripted());
    let egret = Egret::run(&file.path, &[]);
    fs::remove_file(&file.path).unwrap();
    eventually("the fault shows", || egret.metric("egret_policy_faulty") == 1);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200);
    assert_eq!(egret.page("/readyz").status, 200);

    file.write(&policy::with("{ mock: {} }", "[large]", "{}"));
    within(Duration::from_secs(2), "the next is in force", || {
        ask(egret.listen, &chat("large")).status == 200
    });
}

#[test]
fn files_come_and_go_in_a_folder_of_policies() {
    let file = PolicyFile::new(&policy::scripted());
    let egret = Egret::run(file.path.parent().unwrap(), &[]);
    let more = file.beside("more.yaml");
    let text =
        "apiVersion: egret.dev/v1alpha1\nkind: Policy\nroutes: { chat: { targets: [{ model: small }] } }\n";
    let chat_is = |status| move |listen| ask(listen, &chat("chat")).status == status;

    file.write(&policy::with("{ mock: {} }", "[small, \"ch*\"]", "{}"));
    fs::write(&more, text).unwrap();
    within(Duration::from_secs(2), "the route is there", || chat_is(200)(egret.listen));
    fs::write(file.beside("notes.txt"), "no policy").unwrap();
    fs::remove_file(&more).unwrap();
    within(Duration::from_secs(2), "the route is gone", || chat_is(404)(egret.listen));
}

#[test]
fn a_stream_in_flight_ends_under_the_policy_it_began_with() {
    let provider = Provider::plain(Script {
        tokens: NonZeroU32::new(60).unwrap(),
        tokens_per_second: NonZeroU32::new(20),
        ..Script::default()
    });
    let one_at_a_time = |allow| {
        let at = format!("{{ dialect: openai, baseUrl: \"http://{}/v1\" }}", provider.address);
        policy::with(&at, allow, "{ open: { concurrent: 1 } }")
    };
    let file = PolicyFile::new(&one_at_a_time("[small]"));
    let egret = Egret::run(&file.path, &[]);
    let mut connection = Connection::open(egret.listen);
    connection.send(&stream("small"));
    let mut answer = connection.head().unwrap();

    file.replace(&one_at_a_time("[large]"));
    within(Duration::from_secs(2), "the edit is in force", || {
        ask(egret.listen, &chat("small")).status == 403
    });
    assert_eq!(ask(egret.listen, &chat("large")).status, 429, "its place is still taken");

    connection.body(&mut answer).unwrap();
    assert!(answer.body.ends_with("data: [DONE]\n\n"), "{answer:?}");
    assert_eq!(ask(egret.listen, &chat("large")).status, 200);
    let log = {
        egret.signal("TERM");
        egret.left().calls
    };
    let streamed = log.iter().find(|call| call["stream"] == true).unwrap();
    assert_eq!(streamed["policy"].as_str(), answer.header("x-egret-policy"));
}

/// Good and broken texts.
struct Variants {
    good: Vec<String>,
    broken: Vec<String>,
}

impl Variants {
    fn of(provider: SocketAddr) -> Self {
        let provider = format!("{{ dialect: openai, baseUrl: \"http://{provider}/v1\" }}");
        let good: Vec<_> = (0..8)
            .map(|n| {
                let limits = format!(
                    "{{ all: {{ requests: {}, per: 31d }}, open: {{ concurrent: 9 }} }}",
                    100_000 + n
                );
                policy::with(&provider, "[small]", &limits)
            })
            .collect();
        let text = &good[0];
        let broken = vec![
            String::new(),
            text.replace("tenants:", "tenants"),
            text.replace("provider: fake", "provider: fike"),
            text.replace("local: true", "lokal: true"),
            text[..text.len() / 2].to_owned(),
        ];
        Self { good, broken }
    }

    /// The text of an edit: every third is broken, the last of many is good.
    fn at(&self, edit: usize) -> &str {
        let (texts, at) = if edit % 3 == 2 { (&self.broken, edit / 3) } else { (&self.good, edit) };
        &texts[at % texts.len()]
    }

    fn last(&self) -> &str {
        self.at(499)
    }

    fn revisions(&self) -> BTreeSet<String> {
        self.good.iter().map(|text| revision(text)).collect()
    }
}

/// The revision of a policy that consists of one file, `policy.yaml`.
fn revision(text: &str) -> String {
    let file = PolicyFile::new(text);
    let loaded = egret::app::load_policy(&file.path, &[]).unwrap();
    loaded.snapshot.revision.as_str().to_owned()
}

/// What callers counted.
struct Calls {
    answered: u64,
    took: Duration,
}

/// Does something while two callers call, one plain, one by streams; every call is answered, whole, under a policy
/// that is one of the good ones.
fn under_load(egret: &Egret, good: &BTreeSet<String>, something: impl FnOnce()) -> Calls {
    let (answered, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (request, end) in [(chat("small"), "}"), (stream("small"), "data: [DONE]\n\n")] {
            let (answered, over) = (&answered, &over);
            scope.spawn(move || {
                let mut connection = Connection::open(egret.listen);
                while !over.load(Ordering::Relaxed) {
                    let answer = connection.ask(&request);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert!(answer.body.trim_end_matches(' ').ends_with(end), "{answer:?}");
                    assert!(good.contains(answer.header("x-egret-policy").unwrap()), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Also where `something` panics: the scope would wait for ever.
        let _over = SetOnDrop(&over);
        something();
        eventually("calls were made", || answered.load(Ordering::Relaxed) > 100);
    });
    Calls { answered: answered.into_inner(), took: begun.elapsed() }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Every call is counted, but for what the window leaked meanwhile.
fn counted(egret: &Egret, calls: &Calls) {
    let usage = egret.json("/usage");
    let cell =
        |limit| usage["limits"].as_array().unwrap().iter().find(|cell| cell["limit"] == limit).unwrap();
    let (used, leaked) =
        (cell("all")["used"].as_u64().unwrap(), calls.took.as_secs() * 100_008 / WINDOW_SECONDS + 1);
    assert!(used <= calls.answered + 1 && used + leaked >= calls.answered, "{used} of {}", calls.answered);
    assert_eq!(cell("all")["reserved"], 0);
    assert_eq!(cell("open")["used"], 0);
}

fn settles_on(egret: &Egret, text: &str) {
    let revision = revision(text);
    eventually("the last good text is in force", || {
        let page = egret.json("/policy");
        page["revision"] == revision.as_str() && page["fault"].is_null()
    });
}

fn reloads(egret: &Egret) -> u64 {
    let counts = &egret.json("/policy")["reloads"];
    ["accepted", "unchanged", "rejected"].iter().map(|result| counts[result].as_u64().unwrap()).sum()
}

/// A folder as the kubelet makes it: files are links through `..data`, which is swapped by a rename.
pub(super) struct ConfigMap {
    pub(super) folder: TempDir,
}

impl ConfigMap {
    pub(super) fn new(text: &str) -> Self {
        let map = Self { folder: tempfile::tempdir().unwrap() };
        map.update(usize::MAX, text);
        symlink("..data/policy.yaml", map.folder.path().join("policy.yaml")).unwrap();
        map
    }

    pub(super) fn update(&self, number: usize, text: &str) {
        self.update_with_mode(number, text, 0o644);
    }

    fn update_with_mode(&self, number: usize, text: &str, mode: u32) {
        let at = |name: &str| self.folder.path().join(name);
        let next = format!("..{number}");
        fs::create_dir(at(&next)).unwrap();
        fs::write(at(&next).join("policy.yaml"), text).unwrap();
        fs::set_permissions(at(&next).join("policy.yaml"), fs::Permissions::from_mode(mode)).unwrap();
        let before = fs::read_link(at("..data")).ok();
        symlink(&next, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        if let Some(before) = before {
            fs::remove_dir_all(self.folder.path().join(before)).unwrap();
        }
    }
}
