//! Keys on the disk: over restarts, crashes and other processes that write the same file.

use super::*;
use crate::limits::ASSERTION_KEY_FILE_BYTES_MAX;

#[test]
fn a_restart_keeps_the_keys_and_the_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = |door: &Assertions| door.keys().document().clone();
    let door = open(&folder, START);
    assert_eq!(keys(&open(&folder, START + HOUR)), keys(&door));
    let names = || -> Vec<_> {
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect()
    };
    assert_eq!(names(), [KEY_FILE], "nothing half-written is left");
    for hour in 1..=91 * 24 {
        door.check(at(START + hour * HOUR));
    }
    assert_eq!(names(), [KEY_FILE]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join(KEY_FILE)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(keys(&open(&folder, START + 91 * DAY)), keys(&door));
}

#[test]
fn a_crash_before_the_rename_leaves_the_old_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = signs_with(&open(&folder, START));
    let partial = folder.path().join("assertion-keys.AAAAAAAAAAA.partial");
    for half in ["", "{\"version\": 1, \"keys\": [{\"kid\""] {
        fs::write(&partial, half).expect("written");
        assert_eq!(signs_with(&open(&folder, START + HOUR)), first);
    }
}

#[test]
fn the_key_of_the_former_version_is_taken_over_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let former = EcdsaP256Signer::generate().expect("a key");
    let former_file = folder.path().join(FORMER_KEY_FILE);
    fs::write(&former_file, former.pkcs8()).expect("written");
    assert_eq!(signs_with(&open(&folder, START)), former.key_id());
    assert!(!former_file.exists(), "the key is in one place alone");
    // A crash before the removal leaves it there.
    fs::write(&former_file, former.pkcs8()).expect("written");
    let door = open(&folder, START + HOUR);
    assert_eq!(signs_with(&door), former.key_id());
    assert!(!former_file.exists());
    for hour in 2..=95 * 24 {
        door.check(at(START + hour * HOUR));
    }
    assert!(!published(&door).contains(&former.key_id().to_owned()), "and it is rotated like any other");
    // A key that was never taken over is not Firegate's to remove.
    fs::write(&former_file, former.pkcs8()).expect("written");
    open(&folder, START + 96 * DAY);
    assert!(former_file.exists());
    fs::remove_file(folder.path().join(KEY_FILE)).expect("removed");
    fs::write(&former_file, b"no key").expect("written");
    let refused = try_open(&folder, START).expect_err("no key").to_string();
    assert!(refused.contains(FORMER_KEY_FILE), "{refused}");
    assert!(!folder.path().join(KEY_FILE).exists(), "no new key in its place");
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_names_it_and_never_a_new_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(KEY_FILE);
    let door = open(&folder, START);
    let good = fs::read_to_string(&file).expect("the file");
    let other = EcdsaP256Signer::generate().expect("a key");
    let check = |text: String, why: &str| {
        assert_ne!(text, good, "{why}");
        fs::write(&file, &text).expect("written");
        let refused = try_open(&folder, START).expect_err(why).to_string();
        assert!(refused.contains(&*file.to_string_lossy()) && refused.contains(why), "{refused}");
        // Who runs already goes on with the keys that it has, and leaves the file alone.
        door.check(at(START + 100 * DAY));
        assert_eq!((signs_with(&door), published(&door).len()), (signs_with(&door), 1));
        assert_eq!(fs::read_to_string(&file).expect("the file"), text);
    };
    check(String::new(), "cut off");
    check(good[..good.len() / 2].to_owned(), "cut off");
    check("{}".to_owned(), "cut off");
    check(good.replace("\"version\": 1", "\"version\": 2"), "another version");
    check(good.replace("\"kid\"", "\"key\""), "cut off");
    check(good.replace("\"signing\"", "\"retired\""), "not exactly one");
    check(good.replace("\"signing\"", "\"new\""), "cut off");
    check(good.replace(&signs_with(&door), other.key_id()), "damaged");
    check(good.replace("\"pkcs8\": \"M", "\"pkcs8\": \"N"), "damaged");
    check("{\"version\": 1, \"keys\": []}".to_owned(), "not exactly one");
    let bytes_max = usize::try_from(ASSERTION_KEY_FILE_BYTES_MAX).expect("a length");
    check(good.clone() + &" ".repeat(bytes_max), "cannot be used: it is too large");
    fs::write(&file, &good).expect("written");
    door.check(at(START + HOUR));
    assert_eq!(signs_with(&open(&folder, START + HOUR)), signs_with(&door));
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_key_signing_until_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let source = || KeySource::Generated(Some(&data_dir));
    let door = Assertions::new(source(), Vec::new(), "i".to_owned(), at(START)).expect("keys");
    let first = signs_with(&door);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&data_dir, &elsewhere).expect("moved");
    // Where the directory was lies a file, so that not even root can write.
    fs::write(&data_dir, b"").expect("written");
    let refused = Assertions::new(source(), Vec::new(), "i".to_owned(), at(START)).expect_err("no directory");
    assert!(refused.to_string().contains(&*data_dir.to_string_lossy()), "{refused}");
    for hour in 1..=95 * 24 {
        door.check(at(START + hour * HOUR));
        assert_eq!((signs_with(&door), published(&door)), (first.clone(), vec![first.clone()]));
    }
    fs::remove_file(&data_dir).expect("removed");
    fs::rename(&elsewhere, &data_dir).expect("moved");
    door.check(at(START + 95 * DAY));
    assert_eq!((signs_with(&door), published(&door).len()), (first.clone(), 2));
    for hour in 1..=25 {
        door.check(at(START + 95 * DAY + hour * HOUR));
    }
    assert_ne!(signs_with(&door), first);
}

#[test]
fn a_file_that_was_removed_is_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let door = open(&folder, START);
    fs::remove_file(folder.path().join(KEY_FILE)).expect("removed");
    door.check(at(START + HOUR));
    assert_eq!(signs_with(&open(&folder, START + HOUR)), signs_with(&door));
}

#[test]
fn two_processes_verify_each_others_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let doors = [open(&folder, START), open(&folder, START)];
    assert_eq!(signs_with(&doors[0]), signs_with(&doors[1]), "the second takes the first one's key");
    let mut service = Service::default();
    for hour in 0..100 * 24 {
        let now = START + hour * HOUR;
        for (place, door) in doors.iter().enumerate() {
            // Half an hour apart.
            let now = now + i64::try_from(place).expect("small") * HOUR / 2;
            service.meets(&[&doors[0], &doors[1]], now - 10);
            door.check(at(now));
            service.meets(&[&doors[0], &doors[1]], now + 10);
            assert_one_signs(door);
        }
    }
}

#[test]
fn what_another_process_overwrote_is_still_published_and_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(KEY_FILE);
    let (one, other) = (open(&folder, START), open(&folder, START));
    let before = fs::read(&file).expect("the file");
    let due = START + seconds(ASSERTION_KEY_PERIOD) - seconds(ASSERTION_KEY_PUBLISHED_AHEAD);
    one.check(at(due));
    // The other has read the file before the first one wrote it: both made a key, and the last writer wins.
    fs::write(&file, before).expect("written");
    other.check(at(due));
    let (ones, others) = (published(&one), published(&other));
    assert_ne!(ones, others);
    one.check(at(due + HOUR));
    other.check(at(due + HOUR));
    for id in ones.iter().chain(&others) {
        assert!(published(&one).contains(id) && published(&other).contains(id), "{id} is lost");
    }
    assert_eq!(published(&one).len(), 3);
    let mut service = Service::default();
    for hour in 2..100 * 24 {
        for door in [&one, &other] {
            service.meets(&[&one, &other], due + hour * HOUR - 10);
            door.check(at(due + hour * HOUR));
            service.meets(&[&one, &other], due + hour * HOUR + 10);
            assert_one_signs(door);
        }
    }
    assert_eq!(signs_with(&one), signs_with(&other));
}

#[test]
fn a_key_of_another_process_signs_only_after_this_one_has_published_it() {
    let (folder, elsewhere) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let door = open(&folder, START);
    let own = signs_with(&door);
    // Another process's file comes in the place of ours: without links both can make a first key.
    let theirs = signs_with(&open(&elsewhere, START - HOUR));
    fs::copy(elsewhere.path().join(KEY_FILE), folder.path().join(KEY_FILE)).expect("copied");
    door.check(at(START + HOUR));
    assert_eq!((signs_with(&door), published(&door).len()), (own.clone(), 2));
    door.check(at(START + 2 * HOUR));
    assert_eq!(signs_with(&door), theirs);
    assert!(published(&door).contains(&own));
    assert_one_signs(&door);
}

#[test]
fn of_two_processes_that_retired_each_others_key_both_follow_the_file() {
    let [one, other] = [(); 2].map(|()| EcdsaP256Signer::generate().expect("a key"));
    let key = |signer: &EcdsaP256Signer, key_use, since| RotatingKey {
        signer: signer.clone(),
        created_at: at(START),
        key_use,
        since: at(since),
    };
    let ours = [key(&one, KeyUse::Signing, START + DAY), key(&other, KeyUse::Retired, START + 2 * DAY)];
    let theirs = [key(&one, KeyUse::Retired, START + 2 * DAY), key(&other, KeyUse::Signing, START + DAY)];
    let held = HeldKeys::after(None, KeyChain::of(ours.to_vec()).expect("a chain")).expect("one signs");
    let stored = KeyChain::of(theirs.to_vec()).expect("a chain");
    let merged = stored.clone().merged(Some(&held), at(START + 2 * DAY));
    assert_eq!(merged, stored);
    let held = HeldKeys::after(Some(&held), merged).expect("one signs");
    assert_eq!(held.signer().key_id(), other.key_id());
}

#[test]
fn processes_that_start_at_once_share_one_key_and_never_tear_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let doors = std::thread::scope(|scope| {
        let start = |_| scope.spawn(|| open(&folder, START));
        let threads = (0..8).map(start).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().expect("opened")).collect::<Vec<_>>()
    });
    for door in &doors {
        assert_eq!(published(door), published(&doors[0]));
    }
    std::thread::scope(|scope| {
        for door in &doors {
            scope.spawn(|| {
                for hour in 89 * 24..92 * 24 {
                    door.check(at(START + hour * HOUR));
                    let rotating = door.rotating.as_ref().expect("generated").lock().expect("not poisoned");
                    assert!(!rotating.failed_before, "the file was always whole");
                }
            });
        }
    });
    try_open(&folder, START + 92 * DAY).expect("a whole file");
}
