use std::fs;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn counts(settled: u64) -> Row {
    let at = Timestamp::from_millisecond(1_000).unwrap();
    Row { settled, ahead: 5, at, lapse: Lapse::Leaks { amount: 10, per: 60_000_000_000 } }
}

fn keys(store: &mut FileStore) -> Vec<(String, u64)> {
    store.rows().unwrap().into_iter().map(|(key, row)| (key, row.settled)).collect()
}

fn sentence(path: &Path) -> String {
    let error = FileStore::open(path).unwrap_err().to_string();
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
    error
}

#[test]
fn what_was_written_is_there_when_the_file_is_opened_again() {
    let folder = folder();
    let path = folder.path().join("ledger");
    let mut store = FileStore::open(&path).unwrap();
    store.write(&[], &[("a".into(), counts(1)), ("b".into(), counts(2))]).unwrap();
    store.write(&["a".into(), "c".into()], &[("b".into(), counts(3)), ("c".into(), counts(4))]).unwrap();
    drop(store);

    let mut store = FileStore::open(&path).unwrap();
    assert_eq!(keys(&mut store), [("b".to_owned(), 3), ("c".to_owned(), 4)]);
}

#[test]
fn a_row_comes_back_as_it_was_and_has_leaked_no_more() {
    let at: Timestamp = "2026-03-15T12:00:00.0005Z".parse().unwrap();
    for lapse in
        [Lapse::Leaks { amount: 7, per: 1 }, Lapse::Turns { at: "2026-04-01T00:00:00Z".parse().unwrap() }]
    {
        let back = row(words(&Row { settled: u64::MAX, ahead: 3, at, lapse }));
        assert_eq!((back.settled, back.ahead, back.lapse), (u64::MAX, 3, lapse));
        assert!(back.at >= at && back.at.duration_since(at).as_millis() <= 1);
    }
}

#[test]
fn only_one_process_has_the_file() {
    let folder = folder();
    let path = folder.path().join("ledger");
    let _first = FileStore::open(&path).unwrap();
    assert!(sentence(&path).contains("in use by another process"));
}

#[test]
fn another_kind_of_file_is_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    for text in ["not a database\n".to_owned(), "x".repeat(100_000)] {
        fs::write(&path, &text).unwrap();
        assert!(sentence(&path).contains("is not a ledger"), "{}", sentence(&path));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_database_of_somebody_else_is_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("ledger");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("egret cells 1")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(sentence(&path).contains("is not a ledger"));
}

#[test]
fn a_file_that_cannot_be_made_is_told_with_its_path() {
    let folder = folder();
    let path = folder.path().join("missing").join("ledger");
    assert!(sentence(&path).contains("cannot be opened or written"));
    // Where not even root may write.
    assert!(sentence(Path::new("/proc/egret-ledger")).contains("cannot be opened or written"));
    assert!(sentence(folder.path()).contains("cannot be opened or written"));
}

#[test]
fn a_damaged_file_is_told_or_reads_as_it_was() {
    let folder = folder();
    let (path, bent) = (folder.path().join("ledger"), folder.path().join("bent"));
    let mut store = FileStore::open(&path).unwrap();
    let rows: Vec<_> = (0..200).map(|n| (format!("cell {n}").into(), counts(n))).collect();
    store.write(&[], &rows).unwrap();
    let whole = store.rows().unwrap();
    drop(store);
    let bytes = fs::read(&path).unwrap();
    let mut told = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 97) {
        let mut bytes = bytes.clone();
        for byte in bytes.iter_mut().skip(at).take(600) {
            *byte ^= 0x5a;
        }
        fs::write(&bent, &bytes).unwrap();
        match FileStore::open(&bent).and_then(|mut store| store.rows()) {
            Ok(rows) => assert!(rows == whole, "bent at {at}"),
            Err(error) => {
                assert!(error.to_string().contains(&*bent.to_string_lossy()), "{error}");
                told += 1;
            }
        }
    }
    assert!(told > 0);
}

#[test]
fn a_truncated_file_is_told() {
    let folder = folder();
    let path = folder.path().join("ledger");
    let mut store = FileStore::open(&path).unwrap();
    store.write(&[], &[("a".into(), counts(1))]).unwrap();
    drop(store);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = sentence(&path);
    assert!(error.contains("is damaged") || error.contains("is not a ledger"), "{error}");
}

#[test]
fn a_store_that_failed_is_opened_again() {
    let folder = folder();
    let (path, aside) = (folder.path().join("ledger"), folder.path().join("aside"));
    let mut store = FileStore::open(&path).unwrap();
    store.write(&[], &[("a".into(), counts(1))]).unwrap();
    store.open = None;
    fs::rename(&path, &aside).unwrap();
    assert!(store.write(&[], &[("a".into(), counts(2))]).is_err());
    assert!(!path.exists(), "a new file would lack what the old one had");
    fs::rename(&aside, &path).unwrap();
    store.write(&[], &[("a".into(), counts(2))]).unwrap();
    assert_eq!(keys(&mut store), [("a".to_owned(), 2)]);
}
