use super::*;
use crate::clock::Instant;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn families_alternate_beginning_with_the_resolvers_choice() {
    let [a, b, c] = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);
    let [x, y] = ["10.0.0.1:1", "10.0.0.2:1"].map(address);
    assert_eq!(alternate(vec![a, b, c, x, y]), [a, x, b, y, c]);
    assert_eq!(alternate(vec![x, a, y]), [x, a, y]);
    assert_eq!(alternate(vec![]), []);
}

/// After how many milliseconds an address answers, and whether it does well.
type Plan = (u64, bool);

async fn answer((after_ms, well): Plan) -> io::Result<u64> {
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    match well {
        true => Ok(after_ms),
        false => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

async fn raced(plans: &[Plan]) -> (io::Result<u64>, u128) {
    let start = Instant::now();
    let won = race(plans.to_vec(), answer).await;
    (won, start.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_costs_one_stagger() {
    let (won, took_ms) = raced(&[(60_000, true), (10, true)]).await;
    assert_eq!((won.unwrap(), took_ms), (10, 260));
}

#[tokio::test(start_paused = true)]
async fn a_refused_address_costs_nothing() {
    let (won, took_ms) = raced(&[(0, false), (0, false), (7, true)]).await;
    assert_eq!(won.unwrap(), 7);
    assert!(took_ms < 20, "{took_ms}");
}

#[tokio::test(start_paused = true)]
async fn the_slower_first_address_still_may_win() {
    let (won, took_ms) = raced(&[(400, true), (60_000, true)]).await;
    assert_eq!((won.unwrap(), took_ms), (400, 400));
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_last_failure_is_told() {
    let (lost, _) = raced(&[(1, false), (300, false)]).await;
    assert_eq!(lost.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let (none, _) = raced(&[]).await;
    assert_eq!(none.unwrap_err().kind(), io::ErrorKind::NotFound);
}
