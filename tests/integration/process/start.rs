//! How a process starts, and how it says that it cannot.

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use egret::auth::api_key::KeyDigest;

use super::client::{Connection, ask, chat, get, post};
use super::provider::Provider;
use super::support::{Egret, PolicyFile, egret, eventually, output, signal, within};
use super::{client, policy};

#[test]
fn without_a_good_policy_it_ends_with_2_and_its_diagnostics() {
    let file = PolicyFile::new(&policy::scripted().replace("local: true", "lokal: true"));
    let ended = output(egret("run").arg("--policy").arg(&file.path));
    assert_eq!(ended.status.code(), Some(2));
    let said = stderr(&ended);
    assert!(said.contains("unknown field `lokal`") && said.contains("policy.yaml:"), "{said}");
    assert!(ended.stdout.is_empty());

    let nowhere = file.beside("nowhere.yaml");
    let ended = output(egret("run").arg("--policy").arg(nowhere));
    assert_eq!(ended.status.code(), Some(2));
    assert!(stderr(&ended).contains("nowhere.yaml"), "{}", stderr(&ended));
}

#[test]
fn awaiting_a_policy_it_is_live_then_ready_when_one_appears() {
    let file = PolicyFile::new("");
    fs::remove_file(&file.path).unwrap();
    let egret = Egret::run(&file.path, &["--await-policy"]);
    assert_eq!(egret.page("/livez").status, 200);
    assert_eq!(egret.page("/readyz").status, 503);
    assert_eq!(ask(egret.listen, &chat("small")).status, 503);

    file.write("kind: nonsense\n");
    eventually("the bad one shows", || {
        egret.json("/policy")["fault"].as_str().is_some_and(|fault| fault.contains("nonsense"))
    });
    assert_eq!(egret.page("/readyz").status, 503);

    file.write(&policy::scripted());
    within(Duration::from_secs(2), "it is ready", || egret.page("/readyz").status == 200);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200);
}

#[test]
fn an_edit_during_the_start_is_not_missed() {
    let (before, after) = (policy::scripted(), policy::with("{ mock: {} }", "[small, large]", "{}"));
    for turn in 0..8 {
        let file = PolicyFile::new(&before);
        let edit = || {
            // Somewhere between the first read and the ready line.
            std::thread::sleep(Duration::from_millis(turn * 2));
            file.replace(&after);
        };
        let egret = std::thread::scope(|scope| {
            scope.spawn(edit);
            Egret::run(&file.path, &[])
        });
        within(Duration::from_secs(2), "the edit is in force", || {
            ask(egret.listen, &chat("large")).status == 200
        });
    }
}

#[test]
fn an_address_in_use_ends_it_with_1_and_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = PolicyFile::new(&policy::scripted());
    for (flag, other) in [("--listen", "--admin"), ("--admin", "--listen"), ("--metrics", "--listen")] {
        let mut command = egret("run");
        command.arg("--policy").arg(&file.path).args([flag, &address, other, "127.0.0.1:0"]);
        if flag == "--metrics" {
            command.args(["--admin", "127.0.0.1:0"]);
        }
        let ended = output(&mut command);
        assert_eq!(ended.status.code(), Some(1), "{flag}");
        let said = stderr(&ended);
        assert!(
            said.contains(&format!("cannot listen on {address}: another process already does")),
            "{flag}: {said}"
        );
    }
}

#[test]
fn a_broken_ca_file_ends_it_with_1_and_a_sentence() {
    let file = PolicyFile::new(&policy::scripted());
    let ca = file.beside("ca.pem");
    let nowhere = file.beside("nowhere.pem");
    fs::write(&ca, "no certificate").unwrap();
    for path in [ca, nowhere] {
        let mut command = egret("run");
        command.arg("--policy").arg(&file.path).arg("--extra-ca").arg(&path);
        let ended = output(&mut command);
        assert_eq!(ended.status.code(), Some(1));
        let said = stderr(&ended);
        assert!(said.contains("--extra-ca") && said.contains(path.to_str().unwrap()), "{said}");
    }
}

#[test]
fn a_variable_of_opentelemetry_that_cannot_be_done_ends_it_with_1_and_a_sentence() {
    let file = PolicyFile::new(&policy::scripted());
    let wrong = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "a URL such as http://collector:4318"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://me:hush@collector:4318",
            "must not hold a user name, a password or a query",
        ),
        ("OTEL_TRACES_SAMPLER", "sometimes", "always_on, always_off or traceidratio"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s", "milliseconds"),
        ("EGRET_SEMCONV", "v1.40", "both, latest or v1.41"),
    ];
    for (name, value, hint) in wrong {
        let ended = output(egret_run(&file).env(name, value));
        assert_eq!(ended.status.code(), Some(1), "{name}={value}");
        let said = stderr(&ended);
        assert!(said.contains(name) && said.contains(hint) && !said.contains("hush"), "{said}");
        assert!(!said.contains("egret is ready"), "{said}");
    }
}

#[test]
fn a_key_that_is_missing_is_told_by_its_name_and_taken_up_when_its_file_appears() {
    let provider = Provider::prompt();
    let file = PolicyFile::new("");
    let key = file.beside("key");
    let says = format!(
        "{{ dialect: openai, baseUrl: \"http://{}/v1\", key: {{ fromFile: {} }} }}",
        provider.address,
        key.display()
    );
    file.write(&policy::with(&says, "[small]", "{}"));
    let egret = Egret::run(&file.path, &[]);
    let told = egret.diagnostics().into_iter().find(|line| line.contains("WARN")).expect("a warning");
    assert!(told.contains(key.to_str().unwrap()), "{told}");
    assert!(egret.json("/policy")["warnings"].to_string().contains(key.to_str().unwrap()));
    let refused = ask(egret.listen, &chat("small"));
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_auth_failed"));
    assert!(provider.seen().is_empty());

    let before = egret.json("/policy")["reloads"].clone();
    fs::write(&key, "sk-first\n").unwrap();
    within(Duration::from_secs(2), "the key is used", || ask(egret.listen, &chat("small")).status == 200);
    assert_eq!(provider.seen()[0].header("authorization"), Some("Bearer sk-first"));
    assert_eq!(egret.json("/policy")["reloads"], before);

    fs::write(&key, "sk-second\n").unwrap();
    within(Duration::from_secs(3), "the new key is used", || {
        assert_eq!(ask(egret.listen, &chat("small")).status, 200);
        provider.seen().last().unwrap().header("authorization") == Some("Bearer sk-second")
    });
    let log = egret.diagnostics().join("\n");
    assert!(!log.contains("sk-first") && !log.contains("sk-second"), "{log}");
}

#[test]
fn a_key_comes_from_a_variable_and_a_missing_one_is_named_without_a_value() {
    let provider = Provider::prompt();
    let says = format!(
        "{{ dialect: openai, baseUrl: \"http://{}/v1\", key: {{ fromEnv: FAKE_KEY }} }}",
        provider.address
    );
    let file = PolicyFile::new(&policy::with(&says, "[small]", "{}"));
    let run = || {
        let mut command = egret("run");
        command.arg("--policy").arg(&file.path);
        command
    };
    let with_key = Egret::start(run().env("FAKE_KEY", "sk-secret"));
    assert_eq!(ask(with_key.listen, &chat("small")).status, 200);
    assert_eq!(provider.seen()[0].header("authorization"), Some("Bearer sk-secret"));

    // A value that no header carries must not be printed either.
    let with_a_bad_one = Egret::start(run().env("FAKE_KEY", "sk-hush\nhush"));
    let told = with_a_bad_one.diagnostics().join("\n");
    assert!(told.contains("FAKE_KEY") && !told.contains("hush"), "{told}");
    assert_eq!(ask(with_a_bad_one.listen, &chat("small")).code(), "upstream_auth_failed");
}

#[test]
fn flags_are_environment_variables_and_unknown_ones_are_ignored() {
    let key = "egret_of_the_stamped";
    let text = policy::scripted().replace(
        "local: true",
        &format!("match: [{{ apiKeySha256: \"{}\", name: ci }}]", KeyDigest::of(key).hex()),
    );
    let file = PolicyFile::new(&text);
    let mut command = egret("run");
    command
        .env("EGRET_POLICY", &file.path)
        .env("EGRET_TENANT", "app")
        .env("EGRET_METRICS", "127.0.0.1:0")
        .env("EGRET_MAX_BODY", "1Ki")
        .env("EGRET_SERVICE_HOST", "10.0.0.1")
        .env("EGRET_PORT_4100_TCP", "tcp://10.0.0.1:4100")
        .env("EGRET_FOO", "nonsense");
    let egret = Egret::start(&mut command);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200, "without a key, as the stamped tenant");
    let authorized = format!("authorization: Bearer {key}\r\n");
    assert_eq!(ask(egret.listen, &post(&authorized, &client::body("small", false))).status, 200);
    assert_eq!(ask(egret.listen, &post("", &format!("{{\"x\":\"{}\"}}", "y".repeat(1_024)))).status, 413);
    let ready = egret.diagnostics().into_iter().find(|line| line.contains("egret is ready")).unwrap();
    let metrics = ready.split_whitespace().find_map(|word| word.strip_prefix("metrics=")).unwrap();
    let metrics = metrics.parse().unwrap();
    assert_eq!(ask(metrics, &get("/readyz")).status, 200);
    assert_eq!(ask(metrics, &get("/policy")).status, 404);

    for (name, value) in [("EGRET_WORKERS", "none"), ("EGRET_TENANT", ""), ("EGRET_H2C", "maybe")] {
        let wrong = output(egret_run(&file).env(name, value));
        assert_eq!(wrong.status.code(), Some(2), "{name}={value}");
    }
}

#[test]
fn a_switch_is_set_by_a_variable_in_the_words_that_people_use() {
    let file = PolicyFile::new("kind: nonsense\n");
    for yes in ["1", "true", "yes", "on"] {
        let egret = Egret::start(egret_run(&file).env("EGRET_AWAIT_POLICY", yes));
        assert_eq!(egret.page("/livez").status, 200, "{yes}");
    }
    for no in ["0", "false", "no", "off"] {
        let ended = output(egret_run(&file).env("EGRET_AWAIT_POLICY", no));
        assert!(stderr(&ended).contains("nonsense"), "{no}: {}", stderr(&ended));
    }
}

#[test]
fn probes_tell_live_and_ready_by_their_exit_codes() {
    let file = PolicyFile::new("");
    let egret = Egret::run(&file.path, &["--await-policy"]);
    let probe = |question| {
        let ended =
            output(super::support::egret("probe").env("EGRET_ADMIN", egret.admin.to_string()).arg(question));
        ended.status.code()
    };
    assert_eq!((probe("live"), probe("ready")), (Some(0), Some(1)));
    file.write(&policy::scripted());
    eventually("it is ready", || probe("ready") == Some(0));

    let admin = egret.admin.to_string();
    drop(egret);
    let ended = output(super::support::egret("probe").args(["--admin", &admin, "live"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stdout).starts_with("not live: "));
}

#[test]
fn a_probe_that_waits_ends_when_it_is_ready_or_its_time_is_up() {
    let file = PolicyFile::new("");
    let egret = Egret::run(&file.path, &["--await-policy"]);
    let probe = |wait| {
        let mut command = super::support::egret("probe");
        command.args(["ready", "--admin", &egret.admin.to_string(), "--wait", wait]);
        command
    };
    let ended = output(&mut probe("200ms"));
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stdout).ends_with("answered 503\n"));

    let mut waiting = probe("60s").stdout(std::process::Stdio::null()).spawn().unwrap();
    assert_eq!(waiting.try_wait().unwrap(), None, "there is no policy");
    file.write(&policy::scripted());
    eventually("it is ready", || waiting.try_wait().unwrap().is_some());
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[test]
fn checks_end_with_0_for_good_1_for_faulty_and_2_for_unreadable() {
    let good = PolicyFile::new(&policy::scripted());
    let bad = PolicyFile::new("kind: nonsense\n");
    let check = |path: &std::path::Path| output(egret("check").arg(path));
    assert_eq!(check(&good.path).status.code(), Some(0));
    let folder = check(good.path.parent().unwrap());
    assert_eq!(folder.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&folder.stdout).contains(": good, revision "));
    let faulty = check(&bad.path);
    assert_eq!(faulty.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&faulty.stdout).contains("policy.yaml:1:"));
    assert_eq!(check(&good.beside("nowhere.yaml")).status.code(), Some(2));
    assert_eq!(output(&mut egret("check")).status.code(), Some(2));
}

#[test]
fn standard_output_is_the_access_log_alone() {
    let file = PolicyFile::new(&policy::scripted());
    let egret = Egret::run(&file.path, &["--log", "debug"]);
    assert_eq!(ask(egret.listen, &chat("small")).status, 200);
    assert_eq!(ask(egret.listen, &get("/nowhere")).status, 404);
    file.write("kind: nonsense\n");
    eventually("the fault shows", || egret.metric("egret_policy_faulty") == 1);
    egret.signal("TERM");
    // Each line is parsed as JSON.
    let left = egret.left();
    assert_eq!(left.calls.len(), 2);
    assert!(left.calls.iter().all(|call| call["request_id"].is_string()));
    let log = left.stderr.join("\n");
    assert!(!log.contains("\"content\""), "no prompt in diagnostics, also where they are loud");
}

#[test]
fn whoever_does_not_read_the_access_log_holds_up_neither_calls_nor_the_end() {
    let file = PolicyFile::new(&policy::scripted());
    let mut egret = Egret::unread(&file.path, &[]);
    let mut connection = Connection::open(egret.listen);
    // More lines than a pipe holds.
    for _ in 0..500 {
        assert_eq!(connection.ask(&chat("small")).status, 200);
    }
    assert_eq!(egret.page("/readyz").status, 200);
    egret.stop_reading();
    for _ in 0..50 {
        assert_eq!(connection.ask(&chat("small")).status, 200);
    }
    eventually("what is lost is counted", || {
        egret.metric("egret_access_log_lost_total{reason=\"write\"}") > 0
    });
    egret.signal("TERM");
    assert_eq!(egret.left().code, Some(0));

    let egret = Egret::unread(&file.path, &[]);
    for _ in 0..500 {
        ask(egret.listen, &chat("small"));
    }
    egret.signal("TERM");
    assert_eq!(egret.left().code, Some(0), "also where the pipe stays full");
}

#[test]
fn the_ready_line_is_said_however_quiet_the_log_is() {
    let file = PolicyFile::new(&policy::scripted());
    let egret = Egret::run(&file.path, &["--log", "error"]);
    let said = egret.diagnostics();
    assert_eq!(said.len(), 1, "{said:?}");
    let revision = egret.json("/policy")["revision"].as_str().unwrap().to_owned();
    assert!(said[0].ends_with(&format!("policy={revision}")), "{said:?}");
}

#[test]
fn the_mock_verb_is_a_provider_on_a_port() {
    let mut mock = egret("mock");
    mock.args(["--listen", "127.0.0.1:0", "--says", "Hello from a port."])
        .stdout(std::process::Stdio::piped());
    let mut child = mock.spawn().unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    let base = first.trim_end().rsplit(' ').next().unwrap().to_owned();
    let says = format!("{{ dialect: openai, baseUrl: \"{base}\" }}");
    let file = PolicyFile::new(&policy::with(&says, "[small]", "{}"));
    let egret = Egret::run(&file.path, &[]);

    let answer = ask(egret.listen, &chat("small"));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("Hello from a port."), "{answer:?}");
    eventually("the provider is gone", || ask(egret.listen, &chat("small")).status == 503);
}

fn egret_run(file: &PolicyFile) -> std::process::Command {
    let mut command = egret("run");
    command.arg("--policy").arg(&file.path);
    command
}

fn stderr(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stderr).into_owned()
}
