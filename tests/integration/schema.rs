//! The schemas that are shipped in `policies/`: they are what `egret schema` prints, they accept whatever egret accepts,
//! and refuse what is typically wrong. `UPDATE_SCHEMA=1 cargo test --test integration schema` writes them anew, and into
//! each example which is its own.
//!
//! `tests/schema` asks another validator and the server behind editors the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use egret::policy::compile::{compile, suite};
use egret::policy::load::Sources;
use egret::policy::schema;
use jsonschema::Validator;
use serde_json::Value;

const API_VERSION: &str = "egret.dev/v1alpha1";

/// How the first line of an example begins; its schema follows.
const MODELINE: &str = "# yaml-language-server: $schema=";

/// What has "not built yet" in it is refused.
const REFERENCE: &str = "policies/reference.yaml";

/// A kind of document, and its schema.
struct Kind {
    name: &'static str,
    file: &'static str,
    schema: Value,
    validator: Validator,
}

fn kinds() -> &'static [Kind; 2] {
    static KINDS: OnceLock<[Kind; 2]> = OnceLock::new();
    KINDS.get_or_init(|| {
        let kinds = [
            ("Policy", "policy.schema.json", schema::policy()),
            ("PolicyTest", "policytest.schema.json", schema::policy_test()),
        ];
        kinds.map(|(name, file, schema)| {
            let validator = jsonschema::validator_for(&schema).unwrap();
            Kind { name, file, schema, validator }
        })
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files of a folder and those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|of| of == "yaml" || of == "yml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What the schemas say against a text's documents; none where one of them is no document of egret.
fn faults(text: &str) -> Option<Vec<String>> {
    let documents: Vec<Value> = serde_yaml::from_multiple(text).ok()?;
    let mut faults = Vec::new();
    for document in &documents {
        let kind = document["kind"].as_str().filter(|_| document["apiVersion"] == API_VERSION)?;
        let kind = kinds().iter().find(|of| of.name == kind)?;
        let told = kind.validator.iter_errors(document);
        faults.extend(told.map(|fault| format!("{}: {fault}", fault.instance_path())));
    }
    (!documents.is_empty()).then_some(faults)
}

fn update() -> bool {
    #[expect(clippy::disallowed_methods, reason = "said by who runs the tests")]
    std::env::var_os("UPDATE_SCHEMA").is_some()
}

/// Writes into a file's first line which its schema is.
fn name_schema(file: &Path, text: &str) {
    let policies = root().join("policies");
    let depth = file.strip_prefix(&policies).unwrap().components().count() - 1;
    let document = serde_yaml::from_multiple::<Value>(text).unwrap().remove(0);
    let kind = kinds().iter().find(|of| document["kind"] == of.name).unwrap();
    fs::write(file, format!("{MODELINE}{}{}\n{text}", "../".repeat(depth), kind.file)).unwrap();
}

/// Whether egret takes the policy of a file, and the tests that stand beside it there.
fn is_good(name: &str, text: &str) -> bool {
    let sources = Sources::single(name, text);
    let (Ok((policy, _)), Ok(tests)) = (compile(&sources), suite::read(&sources)) else { return false };
    tests.iter().all(|tests| tests.compile(&sources, &policy).is_ok())
}

#[test]
fn the_schemas_that_are_shipped_are_what_egret_says() {
    for Kind { file, schema, .. } in kinds() {
        let (path, made) = (root().join("policies").join(file), format!("{schema:#}\n"));
        if update() {
            fs::write(&path, &made).unwrap();
        }
        let written = fs::read_to_string(path).unwrap();
        assert!(
            written == made,
            "policies/{file} is not what egret says; run this test with UPDATE_SCHEMA=1"
        );
    }
}

#[test]
fn the_schemas_are_of_their_draft() {
    for Kind { name, schema, .. } in kinds() {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(jsonschema::meta::validate(schema).map_err(|fault| fault.to_string()), Ok(()), "{name}");
    }
}

#[test]
fn the_schema_accepts_every_policy_of_this_repository_that_egret_accepts() {
    let mut judged = 0;
    for folder in ["policies", "deploy", "tests"] {
        for file in files(&root().join(folder)) {
            // Some of the broken ones are no text.
            let Ok(text) = String::from_utf8(fs::read(&file).unwrap()) else { continue };
            if is_good("policy.yaml", &text) {
                assert_eq!(faults(&text), Some(Vec::new()), "{}", file.display());
                judged += 1;
            }
        }
    }
    assert!(judged >= 8, "only {judged} policies were found");
}

#[test]
fn the_schema_accepts_every_policy_of_the_pages() {
    for page in ["README.md", "policies/README.md"] {
        let page = fs::read_to_string(root().join(page)).unwrap();
        let blocks = page.split("\n```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
        for block in blocks.filter(|block| is_good("policy.yaml", block)) {
            assert_eq!(faults(block), Some(Vec::new()), "{block}");
        }
    }
}

#[test]
fn every_example_names_the_schema_of_its_kind_and_is_as_that_says() {
    let policies = root().join("policies");
    let mut named = 0;
    for file in files(&policies) {
        let text = fs::read_to_string(&file).unwrap();
        let is_reference = file == root().join(REFERENCE);
        let Some(told) = faults(&text) else { panic!("{} is of no kind that egret has", file.display()) };
        let first = text.lines().next().unwrap();
        let Some(schema) = first.strip_prefix(MODELINE) else {
            if update() && told.is_empty() {
                name_schema(&file, &text);
                continue;
            }
            // An overlay says a part of what a policy has to say, and may delete.
            assert!(!told.is_empty(), "{} does not name its schema in its first line", file.display());
            continue;
        };
        assert!(is_reference || told.is_empty(), "{}: {told:#?}", file.display());
        let to = file.parent().unwrap().join(schema);
        for document in serde_yaml::from_multiple::<Value>(&text).unwrap() {
            let kind = kinds().iter().find(|of| document["kind"] == of.name).unwrap();
            assert_eq!(fs::canonicalize(&to).unwrap(), policies.join(kind.file), "{}", file.display());
        }
        named += 1;
    }
    assert!(named >= 4, "only {named} examples were found");
}

#[test]
fn the_schema_refuses_typical_faults_at_their_places() {
    let faults = fs::read_to_string(root().join("tests/schema/faults.yaml")).unwrap();
    let faults: serde_json::Map<String, Value> = serde_yaml::from_str(&faults).unwrap();
    for (name, fault) in &faults {
        let (at, document) = (fault["at"].as_str().unwrap(), &fault["document"]);
        let kind = kinds().iter().find(|of| document["kind"] == of.name).unwrap_or_else(|| &kinds()[0]);
        let told: Vec<String> =
            kind.validator.iter_errors(document).map(|fault| fault.instance_path().to_string()).collect();
        assert!(!told.is_empty() && told.iter().all(|place| place == at), "{name}: at {told:?}, not at {at}");
        assert!(!is_good("policy.yaml", &document.to_string()), "egret accepts {name}");
    }
    assert!(faults.len() >= 25);
}
