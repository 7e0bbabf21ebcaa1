//! What an accept loop does with a failed `accept`: it neither spins nor ends.

use std::io;
use std::time::Duration;

/// The first pause: long enough for a connection or file to close.
const FIRST: Duration = Duration::from_millis(10);
/// The longest pause: what a caller may wait on top once files are free again.
const LONGEST: Duration = Duration::from_secs(1);

/// How long the loop waits after failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection was accepted.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after this error; none when it was of one connection that is gone, not of the listener.
    pub(super) fn after(&mut self, error: &io::Error) -> Option<Duration> {
        if of_one_connection(error) {
            return None;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        Some(pause)
    }

    /// Whether this failure is to be logged: the 1st, 2nd, 4th, 8th, ... in a row, so that a lasting lack of
    /// files does not flood the log.
    pub(super) fn worth_a_warning(&self) -> bool {
        self.failures.is_power_of_two()
    }
}

/// accept(2) passes on what befell a connection while it waited; the next one may be fine.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EMFILE is 24 on Linux, macOS and the BSDs.
    fn no_file_descriptor_left() -> io::Error {
        io::Error::from_raw_os_error(24)
    }

    #[test]
    fn pauses_double_up_to_a_second_and_start_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let mut pauses: Vec<u128> = Vec::new();
        for _ in 0..9 {
            pauses.push(backoff.after(&no_file_descriptor_left()).unwrap().as_millis());
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.after(&no_file_descriptor_left()), Some(FIRST));
    }

    #[test]
    fn a_connection_that_went_away_while_it_waited_costs_no_pause() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after(&io::Error::from(io::ErrorKind::ConnectionAborted)), None);
    }

    #[test]
    fn a_lasting_failure_is_logged_ever_more_rarely() {
        let mut backoff = Backoff::default();
        let warned = (0..1000)
            .filter(|_| backoff.after(&no_file_descriptor_left()).is_some() && backoff.worth_a_warning())
            .count();
        assert_eq!(warned, 10);
    }
}
