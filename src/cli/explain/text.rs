//! What would become of a call, for people.

use std::io::{self, Write};
use std::time::Duration;

use crate::limits::{Amounts, Mode, Unit};
use crate::policy::snapshot::{Access, Pattern, Principal};
use crate::relay::{Bounds, Candidate, Edits, Explanation, Look, Refused, Room, Said, Try, Verdict};
use crate::scenario::explained::{Places, place_of};
use crate::units::NanoUsd;

/// Writes who calls, what is asked, who would be tried, and the end of it.
pub(super) fn write(explained: &Explanation, places: Places<'_>, out: &mut impl Write) -> io::Result<()> {
    let Explanation { principal, said, looks, waits, refused } = explained;
    match principal {
        Some(principal) => writeln!(out, "caller   {}", caller(principal))?,
        None => writeln!(out, "caller   nobody knows")?,
    }
    let access = principal.as_ref().map(|principal| &principal.tenant.access);
    if let Some(said) = said {
        writeln!(out, "call     {}", call(said))?;
        if let Some(allowed) = access.and_then(|access| allowed(access, &said.name)) {
            writeln!(out, "allowed  {allowed}")?;
        }
    }
    for (at, one) in looks.iter().enumerate() {
        let instead = if at > 0 { ", to which a limit downgrades it" } else { "" };
        look(one, instead, principal.as_deref(), places, out)?;
    }
    writeln!(out)?;
    if let Some(waits) = waits {
        writeln!(out, "waits    for room, at most {}", span(*waits))?;
    }
    match refused {
        Some(refused) => refusal(refused, out),
        None => {
            let worst = explained.worst();
            let worst = worst.map_or_else(|| "no bound, or no price, is known".to_owned(), dollars);
            writeln!(out, "costs    at most: {worst}")
        }
    }
}

fn caller(principal: &Principal) -> String {
    let Principal { tenant, key, user, app } = principal;
    let mut text = format!("tenant `{}`", tenant.id);
    if let Some(plan) = &tenant.plan {
        text += &format!(", plan `{plan}`");
    }
    text += &match key {
        Some(key) => format!(", by its key `{key}`"),
        None => ", without a key".to_owned(),
    };
    if let Some(user) = user {
        text += &format!(", user `{user}`");
    }
    if let Some(app) = app {
        text += &format!(", app `{app}`");
    }
    text
}

fn call(said: &Said) -> String {
    let Said { api, name, stream, bytes, max_output, task, priority } = said;
    let name = name.replace(|c: char| c.is_control(), "\u{fffd}");
    let mut text = format!("`{name}` by {}, {bytes} bytes", api.name());
    if *stream {
        text += ", a stream";
    }
    text += &match max_output {
        Some(tokens) => format!(", at most {} tokens of output", tokens.0),
        None => ", no bound on its output".to_owned(),
    };
    for (what, word) in [("task", task), ("priority", priority)] {
        if let Some(word) = word {
            text += &format!(", {what} `{word}`");
        }
    }
    text
}

fn allowed(access: &Access, name: &str) -> Option<String> {
    let by = access.allowed.contains(name).then(|| Pattern::first(&access.allow, name));
    by.flatten().map(pattern)
}

fn pattern(pattern: &Pattern) -> String {
    format!("by `{}`, {}", pattern.glob, pattern.place)
}

fn look(
    look: &Look,
    instead: &str,
    principal: Option<&Principal>,
    places: Places<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let Look { route, total, candidates } = look;
    let tenant = principal.map(|principal| &principal.tenant);
    let (attempts, strategy) = (route.retry.max_attempts, route.strategy.as_str());
    let name = &route.id;
    let place = places(&["routes", name.as_str()]);
    let place = place.map_or_else(String::new, |place| format!(", {place}"));
    writeln!(
        out,
        "\n`{name}`{instead}: {strategy}, at most {attempts} tries within {}{place}",
        span(*total)
    )?;
    let mut number = 0;
    for candidate in candidates {
        let Candidate { model, verdict, rooms } = candidate;
        let at = format!("{} at {}", model.id, model.provider.id);
        match verdict {
            Verdict::Tried(tried) => {
                number += 1;
                let key = tried.key.as_ref().map_or_else(String::new, |key| {
                    let gone =
                        if tried.key_is_there { "" } else { ", which is not there: the next is tried" };
                    format!(" with key `{key}`{gone}")
                });
                writeln!(out, "  {number}. {at}{key}")?;
                attempt(tried, out)?;
            }
            Verdict::PassedOver { reason, says } => {
                let access = tenant.map(|tenant| &tenant.access);
                let denied = access.filter(|_| *reason == "denied");
                let by = denied.and_then(|access| Pattern::first(&access.deny, model.id.as_str()));
                let by = by.map_or_else(String::new, |by| format!(" {}", pattern(by)));
                writeln!(out, "  -  {at}: passed over, {reason}{by}")?;
                says.iter().try_for_each(|says| writeln!(out, "     {says}"))?;
            }
            Verdict::NotReached => writeln!(out, "  -  {at}: not looked at, the call is over before")?,
        }
        let plan = tenant.and_then(|tenant| tenant.plan.as_ref());
        self::rooms(rooms, |room| place_of(room, plan, places), out)?;
    }
    Ok(())
}

fn attempt(tried: &Try, out: &mut impl Write) -> io::Result<()> {
    let Try { held, bounds: Bounds { input, output, usd }, edits, .. } = tried;
    if *held != Amounts::NONE {
        let Amounts { input, output, usd } = held;
        writeln!(out, "     reserves  {input} tokens in, {output} out, {}", dollars(*usd))?;
    }
    let most = output.map_or_else(|| "any number".to_owned(), |output| output.to_string());
    let cost = usd.map_or_else(|| "no known price".to_owned(), dollars);
    writeln!(out, "     at most   {input} tokens in, {most} out, {cost}")?;
    let edits = self::edits(edits);
    if !edits.is_empty() {
        writeln!(out, "     sends     {}", edits.join("; "))?;
    }
    Ok(())
}

fn edits(edits: &Edits) -> Vec<String> {
    let Edits { model, cap, lowers, cut_messages, translated, lost } = edits;
    let mut all = Vec::new();
    all.extend(model.as_ref().map(|name| format!("`{name}` for the model")));
    all.extend(cap.map(|cap| {
        let why = if *lowers { ", lowered to what there is room for" } else { "" };
        format!("a bound of {} tokens on the output{why}", cap.0)
    }));
    all.extend((*cut_messages > 0).then(|| format!("{cut_messages} messages left out")));
    all.extend(translated.map(|(_, api)| format!("translated to {}", api.name())));
    all.extend((!lost.is_empty()).then(|| format!("without {}", lost.join(", "))));
    all
}

/// One line for each limit, in columns.
fn rooms(rooms: &[Room], place: impl Fn(&Room) -> String, out: &mut impl Write) -> io::Result<()> {
    let name = |room: &Room| match &room.of {
        Some(of) => format!("{} of {} for `{of}`", room.rule.key, room.rule.owner),
        None => format!("{} of {}", room.rule.key, room.rule.owner),
    };
    let names: Vec<_> = rooms.iter().map(name).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (room, name) in rooms.iter().zip(&names) {
        let unit = room.rule.quota.unit();
        let verdict = match (room.has_room(), room.rule.mode) {
            (true, _) => "",
            (false, Mode::Enforce) => "  NO ROOM",
            (false, Mode::Shadow) => "  no room, but it only counts",
        };
        let (asks, left) = (counted(unit, room.asks), counted(unit, room.left));
        writeln!(out, "     {name:width$}  asks {asks} of {left} left  {}{verdict}", place(room))?;
    }
    Ok(())
}

fn refusal(refused: &Refused, out: &mut impl Write) -> io::Result<()> {
    let Refused { status, code, message, wait, is_replaced } = refused;
    writeln!(out, "refused  {status} {code}: {message}")?;
    if let Some(wait) = wait {
        writeln!(out, "         another try may help after {}", span(*wait))?;
    }
    if *is_replaced {
        writeln!(out, "         its caller gets the answer of `onExhausted` instead")?;
    }
    Ok(())
}

fn counted(unit: Unit, count: u64) -> String {
    match unit {
        Unit::Usd => dollars(NanoUsd(count)),
        Unit::Requests | Unit::Tokens | Unit::InputTokens | Unit::OutputTokens | Unit::Concurrent => {
            count.to_string()
        }
    }
}

fn dollars(usd: NanoUsd) -> String {
    format!("${usd}")
}

fn span(span: Duration) -> String {
    match (span.as_secs(), span.subsec_millis()) {
        (seconds, 0) if seconds > 0 && seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        (seconds, 0) if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        (..) => format!("{}ms", span.as_millis()),
    }
}
