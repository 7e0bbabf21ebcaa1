//! Budgets, with callers and providers on sockets: what the ledger holds is what was billed, and no budget is passed.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use egret::random::Random;
use egret::units::NanoUsd;
use serde_json::{Value, json};

use super::billing::{Bill, Billed, Biller, Does, Order};
use super::client::{Connection, ask, post};
use super::support::{Egret, PolicyFile, eventually};

/// Prices of a million tokens in nano-dollars: input, read from a cache, written to one, output, reasoning. Odd ones, so
/// that calls come to parts of a nano-dollar.
const PRICES: [(&str, [u64; 5]); 2] = [
    ("first", [3_000_000_001, 300_000_007, 3_750_000_011, 15_000_000_003, 14_999_999_999]),
    ("second", [70_000_001, 7_000_003, 87_500_009, 280_000_001, 279_999_937]),
];

/// What a call may write, each of its answers.
const MOST: u64 = 500;

/// Two providers of which the second stands in for the first, and these limits. What a call holds is what it can come to:
/// a token for each byte, and all that it may write.
fn policy(biller: &Biller, limits: &str) -> String {
    let provider = |name| {
        let address = biller.address;
        // However many fail in a row: each is billed where it went first.
        format!(
            "{name}: {{ dialect: openai, baseUrl: \"http://{address}/{name}/v1\", breaker: {{ consecutiveFailures: 1000 }} }}"
        )
    };
    let model = |(name, prices): (&str, [u64; 5])| {
        let [input, cached, write, output, reasoning] = prices.map(|nanos| NanoUsd(nanos).to_string());
        format!(
            "  {name}: {{ provider: {name}, maxOutputTokens: {MOST}, price: [{{ inputPerMTok: \"{input}\", \
             cacheReadPerMTok: \"{cached}\", cacheWritePerMTok: \"{write}\", outputPerMTok: \"{output}\", \
             reasoningPerMTok: \"{reasoning}\" }}] }}\n"
        )
    };
    format!(
        "apiVersion: egret.dev/v1alpha1\nkind: Policy\ndefaults: {{ estimate: upperBound, reserveOutput: bound }}\n\
         providers: {{ {}, {} }}\nmodels:\n{}\
         routes: {{ chat: {{ targets: [{{ model: first }}, {{ model: second }}] }} }}\n\
         tenants: {{ app: {{ local: true, access: {{ allow: [\"*\"] }}, limits: {{ {limits} }} }} }}\n",
        provider("first"),
        provider("second"),
        PRICES.map(model).concat(),
    )
}

/// Used and held of every limit, as `/usage` shows it.
fn used(egret: &Egret) -> BTreeMap<String, (u64, u64)> {
    let page = egret.json("/usage");
    let count = |value: &Value| match value.as_str() {
        Some(dollars) => dollars.parse::<NanoUsd>().unwrap().0,
        None => value.as_u64().unwrap(),
    };
    let cell = |cell: &Value| {
        (cell["limit"].as_str().unwrap().to_owned(), (count(&cell["used"]), count(&cell["reserved"])))
    };
    page["limits"].as_array().unwrap().iter().map(cell).collect()
}

/// What a bill comes to, in nano-dollars: each line rounded up once.
fn cost(billed: &Billed) -> u64 {
    let (_, [input, cached, write, output, reasoning]) =
        PRICES.into_iter().find(|(name, _)| *name == billed.model).unwrap();
    let Bill { input: all_input, cached: read, cache_write, output: all_output, reasoning: thought } =
        billed.bill;
    let millionths = (all_input - read - cache_write) * input
        + read * cached
        + cache_write * write
        + (all_output - thought) * output
        + thought * reasoning;
    millionths.div_ceil(1_000_000)
}

/// A call's body; `order` knows its length thereafter.
fn body(order: &mut Order, stream: bool, n: u64) -> String {
    let text = |order: &Order| {
        let content = serde_json::to_string(order).unwrap();
        json!({
            "model": "chat", "stream": stream, "n": n, "max_tokens": MOST,
            "messages": [{ "role": "user", "content": content }],
        })
        .to_string()
    };
    order.bytes = 100;
    order.bytes = text(order).len() as u64;
    let text = text(order);
    assert_eq!(text.len() as u64, order.bytes, "of three digits, as was assumed");
    text
}

/// The whole answer of a call, or as much of it as its caller waits for.
fn call(to: SocketAddr, biller: &Biller, order: &mut Order, stream: bool, n: u64) -> u16 {
    let request = post("", &body(order, stream, n));
    if order.does != Does::Wait {
        return ask(to, &request).status;
    }
    let mut caller = Connection::open(to);
    caller.send(&request);
    if stream {
        return caller.head().unwrap().status;
    }
    eventually("the provider works on it", || biller.book().iter().any(|billed| billed.call == order.call));
    0
}

const KINDS: [Does; 8] = [
    Does::Answer,
    Does::Answer,
    Does::Answer,
    Does::Answer,
    Does::Fail,
    Does::Compress,
    Does::Close,
    Does::Wait,
];

#[test]
fn peer_bug_09_three_hundred_mixed_calls_are_accounted_to_the_token_and_the_nano_dollar() {
    const CALLS: u64 = 300;
    const CALLERS: u64 = 12;
    let biller = Biller::start();
    let limits = "tokens: { tokens: 1000000000, per: month }, input: { inputTokens: 1000000000, per: month }, \
                  money: { usd: \"100000\", per: month }, calls: { requests: 1000000, per: month }, \
                  open: { concurrent: 100 }";
    let file = PolicyFile::new(&policy(&biller, limits));
    let egret = Egret::run(&file.path, &[]);
    let one = |at: u64| {
        let random = Random::seeded(at);
        let any = |most: u64| random.u64() % (most + 1);
        let (does, stream, n) = (KINDS[(at % 8) as usize], any(1) == 1, 1 + any(2));
        let mut bill = Bill { input: 10 + any(5_000), output: 20 + any(400), ..Bill::default() };
        bill.cached = any(bill.input / 2);
        bill.cache_write = any(bill.input - bill.cached);
        bill.reasoning = any(bill.output);
        let mut order = Order { call: at, does, bill, bytes: 0 };
        if does == Does::Wait && !stream {
            // Nobody hears what it comes to: all that it may, and at the dearest price, that of a cache write.
            order.bill = Bill { input: 100, cache_write: 100, output: MOST * n, ..Bill::default() };
            body(&mut order, stream, n);
            (order.bill.input, order.bill.cache_write) = (order.bytes, order.bytes);
        }
        let status = call(egret.listen, &biller, &mut order, stream, n);
        assert!(status == 200 || does == Does::Wait, "call {at}: {status} {order:?}");
    };
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            scope.spawn(move || (caller..CALLS).step_by(CALLERS as usize).for_each(one));
        }
    });
    eventually("every call is over", || used(&egret).values().all(|(_, held)| *held == 0));
    let (book, used) = (biller.book(), used(&egret));
    let sum = |part: fn(&Billed) -> u64| book.iter().map(part).sum::<u64>();
    assert_eq!(used["tokens"], (sum(|billed| billed.bill.tokens()), 0));
    assert_eq!(used["input"], (sum(|billed| billed.bill.input), 0));
    assert_eq!(used["money"], (sum(cost), 0));
    assert_eq!((used["calls"], used["open"]), ((CALLS, 0), (0, 0)));
    // All of them were there: of what was written and not answered, two lines.
    let twice = (0..CALLS).filter(|at| KINDS[(at % 8) as usize] == Does::Close).count();
    assert_eq!(book.len(), CALLS as usize + twice);
}

/// So many callers at once, under a budget for some of them.
const CALLERS: u64 = 64;
const PAID: u64 = 23;

/// Every caller's call, which comes to all that it holds unless it waits.
fn orders(kinds: &[Does]) -> Vec<(Order, bool)> {
    let one = |at: u64| {
        // Numbers of as many digits, so that all calls cost the same.
        let does = kinds[(at % kinds.len() as u64) as usize];
        let bill = Bill { input: 100, output: MOST, ..Bill::default() };
        let mut order = Order { call: 100 + at, does, bill, bytes: 0 };
        let stream = does == Does::Wait || at % 2 == 1;
        body(&mut order, stream, 1);
        order.bill.input = order.bytes;
        if does == Does::Wait {
            order.bill.output = 100;
        }
        (order, stream)
    };
    (0..CALLERS).map(one).collect()
}

/// What the dearest of them comes to.
fn dearest(orders: &[(Order, bool)]) -> u64 {
    orders.iter().map(|(order, _)| order.bytes + MOST).max().unwrap()
}

/// They start together; how many were answered.
fn admitted(to: SocketAddr, biller: &Biller, orders: &[(Order, bool)]) -> u64 {
    let (start, answered) = (Barrier::new(orders.len()), AtomicU64::new(0));
    thread::scope(|scope| {
        for (order, stream) in orders {
            let (mut order, start, answered) = (*order, &start, &answered);
            scope.spawn(move || {
                start.wait();
                match call(to, biller, &mut order, *stream, 1) {
                    200 => answered.fetch_add(1, Ordering::Relaxed),
                    429 => 0,
                    other => panic!("{other} for {order:?}"),
                };
            });
        }
    });
    answered.into_inner()
}

/// A process with a budget of so many tokens.
fn under_a_budget(biller: &Biller, tokens: u64) -> (PolicyFile, Egret) {
    let file = PolicyFile::new(&policy(biller, &format!("tokens: {{ tokens: {tokens}, per: month }}")));
    let egret = Egret::run(&file.path, &[]);
    (file, egret)
}

#[test]
fn peer_bug_01_of_64_clients_exactly_those_are_answered_whom_the_budget_pays() {
    for kinds in [&[Does::Answer][..], &[Does::Fail], &[Does::Answer, Does::Answer, Does::Fail]] {
        let (biller, orders) = (Biller::start(), orders(kinds));
        let budget = PAID * dearest(&orders);
        // Their lengths differ by the words in them, and not by so much that the least would find room.
        let least = orders.iter().map(|(order, _)| order.bytes + MOST).min().unwrap();
        assert!((PAID + 1) * least > budget);
        let (_file, egret) = under_a_budget(&biller, budget);
        assert_eq!(admitted(egret.listen, &biller, &orders), PAID, "{kinds:?}");
        let billed: u64 = biller.book().iter().map(|billed| billed.bill.tokens()).sum();
        assert_eq!(used(&egret)["tokens"], (billed, 0), "{kinds:?}");
        assert!(billed <= budget);
    }
}

#[test]
fn peer_bug_01_a_budget_is_not_passed_where_callers_leave_and_others_get_their_room() {
    let kinds = [Does::Answer, Does::Wait, Does::Fail, Does::Wait];
    let (biller, orders) = (Biller::start(), orders(&kinds));
    let budget = PAID * dearest(&orders);
    let (_file, egret) = under_a_budget(&biller, budget);
    let answered = admitted(egret.listen, &biller, &orders);
    assert!(answered >= PAID, "nobody holds more than the dearest: {answered}");
    eventually("every call is over", || used(&egret)["tokens"].1 == 0);
    let billed: u64 = biller.book().iter().map(|billed| billed.bill.tokens()).sum();
    assert_eq!(used(&egret)["tokens"], (billed, 0));
    assert!(billed <= budget, "{billed} of {budget}");
}

/// The same by a relay that looks first and charges afterwards: the tests above can fail.
#[test]
fn clients_of_a_relay_that_looks_first_and_charges_afterwards_overspend() {
    let (biller, orders) = (Biller::start(), orders(&[Does::Answer]));
    let budget = PAID * dearest(&orders);
    let relay = Looking::start(biller.address, budget, dearest(&orders));
    let answered = admitted(relay, &biller, &orders);
    let billed: u64 = biller.book().iter().map(|billed| billed.bill.tokens()).sum();
    assert!(answered > PAID && billed > budget, "{answered} answered, {billed} of {budget} billed");
}

/// A relay for as many calls as there are callers, with a budget that it looks at and later charges.
struct Looking {
    provider: SocketAddr,
    budget: u64,
    cost: u64,
    charged: AtomicU64,
    /// All look before the first has an answer: what luck would bring about for some of them.
    looked: Barrier,
}

impl Looking {
    fn start(provider: SocketAddr, budget: u64, cost: u64) -> SocketAddr {
        let (charged, looked) = (AtomicU64::new(0), Barrier::new(CALLERS as usize));
        let relay = Arc::new(Self { provider, budget, cost, charged, looked });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().take(CALLERS as usize) {
                let relay = Arc::clone(&relay);
                thread::spawn(move || relay.relay(stream.unwrap()));
            }
        });
        address
    }

    fn relay(&self, mut caller: TcpStream) {
        let mut request = vec![0; 64 * 1024];
        // A caller of these tests sends head and body in one write.
        let length = caller.read(&mut request).unwrap();
        let fits = self.charged.load(Ordering::Relaxed) + self.cost <= self.budget;
        self.looked.wait();
        if !fits {
            caller.write_all(b"HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n").unwrap();
            return;
        }
        let mut provider = TcpStream::connect(self.provider).unwrap();
        provider.write_all(&request[..length]).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n0\r\n\r\n") {
            let mut piece = [0; 1024];
            let length = provider.read(&mut piece).unwrap();
            answer.extend(&piece[..length]);
        }
        caller.write_all(&answer).unwrap();
        self.charged.fetch_add(self.cost, Ordering::Relaxed);
    }
}
