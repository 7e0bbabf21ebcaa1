//! Files -> documents: each overlay laid over what stands before it, so that what is compiled is one policy.
//!
//! Works on trees, before anything is decoded: every value keeps its place, be it in the policy or in an overlay.

mod merge;
mod patch;

use std::collections::HashMap;

use super::diagnostic::{Code, Findings, Span, quoted};
use super::load::{Role, Sources};
use super::node::decode::{Shape, shape_of};
use super::node::{self, Key, Node, Value};
use super::spec;
use merge::Merge;

/// The documents that make a policy, all overlays laid over them.
pub(super) struct Documents {
    pub(super) list: Vec<Node>,
    /// Whether some of what was written could not be read, so that what seems to be missing may stand there.
    pub(super) partial: bool,
}

/// The fields that say what a document is.
pub(super) const HEAD: [(&str, &str); 2] = [("apiVersion", spec::API_VERSION), ("kind", "Policy")];

/// Reads every file, and lays the overlays over the policy in their order. `PolicyTest` documents are left out.
pub(super) fn read(sources: &Sources, found: &mut Findings<'_>) -> Documents {
    let layers = layers(sources, found);
    let partial = found.errors() > 0;
    let mut base = Documents { list: Vec::new(), partial };
    let shape = if layers.len() > 1 { shape_of::<spec::Policy>() } else { Shape::Value };
    for (role, mut list) in layers {
        match role {
            Role::Base => {
                list.iter_mut().for_each(|document| patch::refuse(document, found));
                base.list = list;
            }
            Role::Overlay(_) => lay(&mut base, list, &shape, found),
        }
        base.partial = found.errors() > 0;
    }
    base
}

/// All that the documents say, each section once.
pub(super) fn gathered(sources: &Sources, found: &mut Findings<'_>) -> Vec<Node> {
    let mut list = read(sources, found).list;
    gather(&mut list, &shape_of::<spec::Policy>());
    list
}

/// The documents of each layer, the policy's own first.
fn layers(sources: &Sources, found: &mut Findings<'_>) -> Vec<(Role, Vec<Node>)> {
    let mut layers: Vec<(Role, Vec<Node>)> = Vec::new();
    for (index, file) in sources.files().iter().enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let errors = found.errors();
        let mut documents = node::parse(index, &file.bytes, found);
        documents.retain(|document| !is_test(document));
        match file.role {
            // An empty one is rather one that is being written, or the wrong file.
            Role::Overlay(_) if documents.is_empty() && found.errors() == errors => {
                let start = Span { file: index, line: 1, column: 1, length: 1 };
                found
                    .error(start, "this overlay holds no document of `kind: Policy`")
                    .code(Code::WrongKind)
                    .hint("begin with `apiVersion: egret.dev/v1alpha1` and `kind: Policy`; or leave the overlay away");
            }
            Role::Overlay(_) | Role::Base => {}
        }
        match layers.last_mut() {
            Some((role, list)) if *role == file.role => list.extend(documents),
            Some(_) | None => layers.push((file.role, documents)),
        }
    }
    layers
}

/// Whether there is a document of a policy among these files; of what cannot be read the answer is no.
pub(super) fn holds_policy(sources: &Sources) -> bool {
    let mut found = Findings::new(sources);
    let mut files = (0..).zip(sources.files());
    files.any(|(index, file)| {
        node::parse(index, &file.bytes, &mut found).iter().any(|document| !is_test(document))
    })
}

/// Whether a document holds tests of a policy.
pub(super) fn is_test(document: &Node) -> bool {
    document.field("kind").is_some_and(|kind| kind.value == Value::Text("PolicyTest".to_owned()))
}

/// Lays one overlay over the policy.
fn lay(base: &mut Documents, mut overlay: Vec<Node>, shape: &Shape, found: &mut Findings<'_>) {
    overlay.retain(|document| is_policy(document, found));
    gather(&mut base.list, shape);
    gather(&mut overlay, shape);
    tell_twice(&mut overlay, shape, found);
    let mut merge = Merge { partial: base.partial, path: Vec::new(), found };
    for document in overlay {
        let Value::Map(fields) = document.value else { continue };
        for (key, value) in fields {
            if HEAD.iter().any(|(name, _)| key.text == *name) {
                continue;
            }
            let place = base.list.iter().position(|document| document.field(&key.text).is_some());
            let Some(onto) = base.list.get_mut(place.unwrap_or(0)) else { continue };
            merge.field(onto, key, value, shape);
        }
    }
}

/// Whether an overlay's document is one of a policy; tells if not.
fn is_policy(document: &Node, found: &mut Findings<'_>) -> bool {
    if document.entries().is_none() {
        found
            .error(document.span, format!("expected a map, found {}", document.kind()))
            .code(Code::WrongValue);
        return false;
    }
    let fits = HEAD.map(|(field, wanted)| match document.field(field) {
        None => {
            found
                .error(document.span, format!("`{field}` is missing"))
                .code(Code::WrongKind)
                .hint(format!("write `{field}: {wanted}` at the top of the document"));
            false
        }
        Some(written) => {
            let fits = written.value == Value::Text(wanted.to_owned());
            if !fits {
                found
                    .error(written.span, format!("this egret reads `{field}: {wanted}` only"))
                    .code(Code::WrongKind)
                    .hint("an overlay is written in the language of the policy that it is laid over");
            }
            fits
        }
    });
    fits == [true, true]
}

/// Where an entry stands: a map or list by its key, anything else by itself.
pub(super) fn place(key: &Key, node: &Node) -> Span {
    match &node.value {
        Value::Map(_) | Value::List(_) => key.span,
        Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Fraction(_) | Value::Text(_) => node.span,
    }
}

/// Moves the named things of one kind into the first document that has some, so that each is found in one place. What
/// is there twice stays there twice.
fn gather(documents: &mut [Node], shape: &Shape) {
    let Shape::Fields(_, sections) = shape else { return };
    for (section, _) in sections.iter().filter(|(_, shape)| matches!(shape, Shape::Names(_))) {
        let has_names =
            |document: &Node| document.field(section).is_some_and(|node| node.entries().is_some());
        let Some(first) = documents.iter().position(has_names) else { continue };
        let (to_first, after) = documents.split_at_mut(first + 1);
        if let Some(names) = to_first.last_mut().and_then(|document| names_in(document, section)) {
            names.extend(after.iter_mut().filter_map(|document| take_names(document, section)).flatten());
        }
    }
}

/// The named things that stand in a section of a document.
fn names_in<'d>(document: &'d mut Node, section: &str) -> Option<&'d mut Vec<(Key, Node)>> {
    let (_, node) = document.entries_mut()?.iter_mut().find(|(key, _)| key.text == section)?;
    node.entries_mut()
}

/// The same, taken out with their section.
fn take_names(document: &mut Node, section: &str) -> Option<Vec<(Key, Node)>> {
    let fields = document.entries_mut()?;
    let at = fields.iter().position(|(key, node)| key.text == section && node.entries().is_some())?;
    let (_, mut node) = fields.remove(at);
    node.entries_mut().map(std::mem::take)
}

/// Tells what an overlay says twice, and keeps the first.
fn tell_twice(documents: &mut [Node], shape: &Shape, found: &mut Findings<'_>) {
    let mut said: HashMap<String, Span> = HashMap::new();
    for document in documents {
        let Value::Map(fields) = &mut document.value else { continue };
        fields.retain_mut(|(section, node)| {
            if HEAD.iter().any(|(name, _)| section.text == *name) {
                return true;
            }
            if let (Some(Shape::Names(_)), Value::Map(names)) = (shape.at(&section.text), &mut node.value) {
                let mut named = HashMap::new();
                names.retain(|(name, _)| is_first(&mut named, name, found));
                return true;
            }
            is_first(&mut said, section, found)
        });
        said.extend(fields.iter().map(|(section, _)| (section.text.clone(), section.span)));
    }
}

fn is_first(said: &mut HashMap<String, Span>, key: &Key, found: &mut Findings<'_>) -> bool {
    let Some(first) = said.get(&key.text) else {
        said.insert(key.text.clone(), key.span);
        return true;
    };
    let first = found.place(*first);
    found
        .error(key.span, format!("{} is said twice in this overlay", quoted(&key.text)))
        .code(Code::DefinedTwice)
        .other("first here", first);
    false
}

#[cfg(test)]
mod tests;
