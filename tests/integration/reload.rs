//! Changed policies under calls: files to snapshots, by the functions that the process uses.

use std::path::{Path, PathBuf};

use egret::app::load_policy;
use egret::policy::store::ReloadResult;
use egret::policy::watch::{LoadFault, Loaded, reload};

use crate::support::*;

/// A policy whose model says this.
fn says(text: &str) -> String {
    format!(
        "{HEAD}providers: {{ p: {{ mock: {{ says: \"{text}\" }} }} }}\nmodels: {{ m: {{ provider: p }} }}\n{ANYONE}"
    )
}

/// What a changed file leads to.
async fn changed(proxy: &Proxy, path: &Path) -> ReloadResult {
    changed_under(proxy, path, &[]).await
}

/// The same, where overlays lie over it.
async fn changed_under(proxy: &Proxy, path: &Path, overlays: &[PathBuf]) -> ReloadResult {
    let load = |path: &Path| -> Result<Loaded, LoadFault> {
        let mut loaded = load_policy(path, overlays)?;
        proxy.state.prepare(&mut loaded);
        Ok(loaded)
    };
    reload(&proxy.state.shared.store, path, load, &proxy.state.clock).await
}

#[tokio::test(start_paused = true)]
async fn peer_bug_22_a_changed_file_holds_for_the_next_call_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    let proxy = proxy(&chain(&["ok"]));
    for text in ["one", "two"] {
        std::fs::write(&file, says(text)).unwrap();
        assert_eq!(changed(&proxy, &file).await, ReloadResult::Accepted);
        assert_eq!(proxy.chat("m").await.text(), text);
    }
    assert_eq!(changed(&proxy, &file).await, ReloadResult::Unchanged);
    // A connection, its key and its model of a moment ago: gone with the policy that named them.
    assert_eq!(proxy.chat("chat").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn peer_bug_23_a_bad_policy_is_told_and_the_last_good_one_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    let proxy = proxy(&chain(&["ok"]));
    std::fs::write(&file, says("good")).unwrap();
    changed(&proxy, &file).await;
    let revision = proxy.chat("m").await.header("x-egret-policy").unwrap().to_owned();
    let broken = [
        "".to_owned(),
        "{".to_owned(),
        "\u{0}".to_owned(),
        says("good").replace("provider: p", "provider: nobody"),
        says("good").replace("tenants", "tenents"),
        says("good").replace("kind: Policy", "kind: ConfigMap"),
    ];
    for text in broken {
        std::fs::write(&file, &text).unwrap();
        assert_eq!(changed(&proxy, &file).await, ReloadResult::Rejected, "{text}");
        let fault = proxy.state.shared.store.status().fault.expect("the fault is shown");
        assert!(!fault.is_empty(), "{text}");
        let answer = proxy.chat("m").await;
        assert_eq!(
            (answer.text().as_str(), answer.header("x-egret-policy")),
            ("good", Some(revision.as_str()))
        );
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(changed(&proxy, &file).await, ReloadResult::Rejected, "a file that is not there");
    assert_eq!(proxy.chat("m").await.text(), "good");

    std::fs::write(&file, says("better")).unwrap();
    assert_eq!(changed(&proxy, &file).await, ReloadResult::Accepted);
    assert!(proxy.state.shared.store.status().fault.is_none());
    assert_eq!(proxy.chat("m").await.text(), "better");
}

#[tokio::test(start_paused = true)]
async fn peer_bug_24_a_file_is_all_that_a_policy_needs() {
    let folder = tempfile::tempdir().unwrap();
    let policy = says("hello");
    let (providers, rest) = policy.split_once("models:").unwrap();
    std::fs::write(folder.path().join("providers.yaml"), providers).unwrap();
    std::fs::write(
        folder.path().join("rest.yml"),
        format!("{HEAD}models:{rest}").replace("allowMock: true\n", ""),
    )
    .unwrap();
    let proxy = proxy(&chain(&["ok"]));
    assert_eq!(
        changed(&proxy, folder.path()).await,
        ReloadResult::Accepted,
        "{:?}",
        proxy.state.shared.store.status().fault
    );
    assert_eq!(proxy.chat("m").await.text(), "hello");
}

#[tokio::test(start_paused = true)]
async fn a_changed_overlay_holds_for_the_next_call_and_a_bad_one_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let [file, overlay] = ["policy.yaml", "prod.yaml"].map(|name| folder.path().join(name));
    let proxy = proxy(&chain(&["ok"]));
    std::fs::write(&file, says("one")).unwrap();
    let overlays = [overlay.clone()];
    for text in ["two", "three"] {
        let written = format!("{HEAD}providers: {{ p: {{ mock: {{ says: {text} }} }} }}\n");
        std::fs::write(&overlay, written).unwrap();
        assert_eq!(changed_under(&proxy, &file, &overlays).await, ReloadResult::Accepted);
        assert_eq!(proxy.chat("m").await.text(), text);
    }
    std::fs::write(&overlay, format!("{HEAD}providers: {{ q: {{ $patch: delete }} }}\n")).unwrap();
    assert_eq!(changed_under(&proxy, &file, &overlays).await, ReloadResult::Rejected);
    let fault = proxy.state.shared.store.status().fault.expect("the fault is shown");
    assert!(fault.contains("there is no `q` to delete") && fault.contains("/prod.yaml:4:14"), "{fault}");
    assert_eq!(proxy.chat("m").await.text(), "three");
}

#[tokio::test(start_paused = true)]
async fn a_stream_under_way_ends_as_it_began() {
    let slow = |text: &str| {
        format!(
            "{}{ANYONE}",
            chain(&["ok"])
                .replace(ANYONE, "")
                .replace("hello from p1\"", &format!("{text}\", tokensPerSecond: 1"))
        )
    };
    let proxy = proxy(&slow("one two three"));
    let mut stream = proxy.stream("chat").open().await;
    stream.next().await;
    for n in 0..50 {
        proxy.reload(&slow(&format!("word {n}")));
    }
    let answer = stream.rest().await;
    assert!(answer.is_done() && answer.text().ends_with("three"), "{}", answer.raw());
    assert_eq!(proxy.chat("chat").await.text(), "word 49");
}
