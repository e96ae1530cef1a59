//! Noticing that a file has changed: by looking at it, because that works on every file system, with editors that put another
//! file in its place, and with the links by which Kubernetes and Cloud Run change a whole directory at once.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};

use super::reads::{FileReads, while_reading};
use crate::limits::{WATCH_INTERVAL, WATCHED_FILE_BYTES_MAX};

/// Files that are watched.
#[derive(Clone, Debug, Default)]
pub struct FileWatch {
    files: Vec<Watched>,
    reads: FileReads,
    /// They did not answer when they were looked at last.
    is_hanging: bool,
    /// A file looked other than before, and may still be being written.
    is_moving: bool,
}

#[derive(Clone, Debug)]
struct Watched {
    path: PathBuf,
    look: Option<Look>,
    /// The digest of what it held when it was read last, or which pipe or device it was; `None` if it could not be read.
    content: Option<Vec<u8>>,
}

/// What a file looks like without being read: to read one that Secret Manager mounts is a call of its API.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    length: u64,
    modified: Option<SystemTime>,
    /// The file system and the file's number in it, which change with the link to another file.
    identity: (u64, u64),
}

impl FileWatch {
    /// Watches these files and no others: those that were watched before from how they were then, the others from how they
    /// are now.
    pub async fn watch(&mut self, paths: Vec<PathBuf>) {
        self.off_the_runtime(move |watch| {
            watch.files.retain(|file| paths.contains(&file.path));
            for path in paths {
                if watch.files.iter().all(|file| file.path != path) {
                    watch.files.push(Watched::new(path));
                }
            }
        })
        .await;
    }

    /// Takes the files as they are for seen: whoever is about to read them need not be told of what they hold now.
    pub async fn acknowledge(&mut self) {
        self.off_the_runtime(|watch| {
            watch.look();
            watch.read();
        })
        .await;
    }

    /// Waits until a file holds something else than when it was seen, and none has changed for a moment. A wait that is given
    /// up loses nothing.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            if self.off_the_runtime(Self::has_changed).await == Some(true) {
                return;
            }
        }
    }

    /// Looks at every file, and reads them if one has changed and none does any more: what looks the same twice is written to
    /// its end. One that could not be read looks the same when it can be, because its rights were put right or there are
    /// descriptors again. Whether one holds something else than before.
    fn has_changed(&mut self) -> bool {
        let is_settled = !self.look();
        let is_unread = |file: &Watched| file.look.is_some() && file.content.is_none();
        is_settled && (self.is_moving || self.files.iter().any(is_unread)) && self.read()
    }

    /// Looks at every file; whether one looks other than before.
    fn look(&mut self) -> bool {
        let mut is_other = false;
        for file in &mut self.files {
            let look = while_reading(&file.path, || Look::at(&file.path)).ok();
            is_other |= look != file.look;
            file.look = look;
        }
        self.is_moving |= is_other;
        is_other
    }

    /// Reads every file; whether one holds something else than before.
    fn read(&mut self) -> bool {
        let mut is_other = false;
        for file in &mut self.files {
            let content = while_reading(&file.path, || content(&file.path)).ok();
            is_other |= content != file.content;
            file.content = content;
        }
        self.is_moving = false;
        is_other
    }

    /// A disk may take its time, and whoever waits here has signals to heed. `None`, and nothing is changed, if it hangs or
    /// panics.
    async fn off_the_runtime<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Self) -> T + Send + 'static,
    ) -> Option<T> {
        let mut watch = self.clone();
        let reading = self.reads.begin(move || {
            let result = work(&mut watch);
            (watch, result)
        });
        let why = match reading {
            Ok(mut reading) => match reading.in_time().await {
                Ok(Ok((watch, result))) => {
                    *self = Self { is_hanging: false, ..watch };
                    return Some(result);
                }
                Ok(Err(error)) => error.to_string(),
                Err(hang) => hang.to_string(),
            },
            Err(error) => error.to_string(),
        };
        if !std::mem::replace(&mut self.is_hanging, true) {
            tracing::error!("changes of files are not noticed: {why}");
        }
        None
    }
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        // In this order: what is written in between looks other at the next look.
        let look = while_reading(&path, || Look::at(&path)).ok();
        let content = while_reading(&path, || content(&path)).ok();
        Self { path, look, content }
    }
}

impl Look {
    fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::of(&metadata))
    }

    fn of(metadata: &fs::Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok(), identity: identity(metadata) }
    }
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        // Who looks into a pipe waits for somebody who writes to it, and takes it away from whoever it is for. Which one it is
        // tells it from another, and from none.
        let (system, number) = identity(&metadata);
        return Ok([system.to_be_bytes(), number.to_be_bytes()].concat());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(WATCHED_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == WATCHED_FILE_BYTES_MAX {
        // What may be behind it is not read. That it changes shows in how the file looks.
        bytes.extend_from_slice(format!("{:?}", Look::of(&metadata)).as_bytes());
    }
    Ok(digest(&SHA256, &bytes).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How the watch looks at files, without waiting between two looks.
    fn looks(watch: &mut FileWatch, times: usize) -> usize {
        (0..times).filter(|_| watch.has_changed()).count()
    }

    fn watch(paths: &[&Path]) -> FileWatch {
        let files = paths.iter().map(|path| Watched::new(path.to_path_buf())).collect();
        FileWatch { files, ..FileWatch::default() }
    }

    #[test]
    fn a_change_is_noticed_once_and_when_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("firegate.yaml");
        fs::write(&file, "one").expect("it is written");
        let mut watch = watch(&[&file]);
        assert_eq!(looks(&mut watch, 3), 0);
        fs::write(&file, "half of").expect("it is written");
        assert_eq!(looks(&mut watch, 1), 0, "it may still be being written");
        fs::write(&file, "half of the whole").expect("it is written");
        assert_eq!(looks(&mut watch, 1), 0, "it still was");
        assert_eq!(looks(&mut watch, 1), 1);
        assert_eq!(looks(&mut watch, 3), 0);
    }

    /// The file and its number stay the same, and one of the others.
    #[test]
    fn a_file_that_is_written_in_place_changes_by_its_length_or_by_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("firegate.yaml");
        let write = |text: &str, seconds: u64| {
            fs::write(&path, text).expect("it is written");
            let file = File::options().write(true).open(&path).expect("it is there");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
                .expect("it is its owner's");
        };
        write("one", 1);
        let mut watch = watch(&[&path]);
        for (text, seconds) in [("two", 2), ("three", 2)] {
            write(text, seconds);
            assert_eq!(looks(&mut watch, 3), 1, "{text}");
        }
    }

    /// A policy may be larger than what is compared of it, and who is let in no more may stand at its end.
    #[test]
    fn the_end_of_a_large_file_is_no_less_a_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy.yaml");
        let start = "#".repeat(usize::try_from(WATCHED_FILE_BYTES_MAX).expect("it fits"));
        let write = |end: &str, seconds: u64| {
            fs::write(&path, format!("{start}{end}")).expect("it is written");
            let file = File::options().write(true).open(&path).expect("it is there");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
                .expect("it is its owner's");
        };
        write("allow", 1);
        let mut watch = watch(&[&path]);
        for (end, seconds) in [("admit", 2), ("", 3), ("x", 3)] {
            write(end, seconds);
            assert_eq!(looks(&mut watch, 3), 1, "{end:?}");
        }
    }

    /// Its rights are put right, or there are descriptors again, and the file looks as it did.
    #[test]
    fn a_file_that_could_not_be_read_is_a_change_once_it_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("firegate.yaml");
        fs::write(&file, "one").expect("it is written");
        let mut watch = watch(&[&file]);
        watch.files[0].content = None;
        assert_eq!(looks(&mut watch, 3), 1);
        let mut away = self::watch(&[&folder.path().join("away")]);
        assert_eq!(looks(&mut away, 3), 0);
        // A file that nobody can read from its beginning.
        #[cfg(target_os = "linux")]
        assert_eq!(looks(&mut self::watch(&[Path::new("/proc/self/mem")]), 3), 0);
    }

    #[test]
    fn what_is_written_anew_and_the_same_is_no_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("firegate.yaml");
        fs::write(&file, "one").expect("it is written");
        let mut watch = watch(&[&file]);
        let other = folder.path().join("other");
        fs::write(&other, "one").expect("it is written");
        fs::rename(&other, &file).expect("it is put in its place");
        assert_eq!(looks(&mut watch, 3), 0);
    }

    #[test]
    fn a_file_that_goes_and_one_that_comes_are_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("firegate.yaml");
        let mut watch = watch(&[&file]);
        fs::write(&file, "one").expect("it is written");
        assert_eq!(looks(&mut watch, 3), 1);
        fs::remove_file(&file).expect("it is removed");
        assert_eq!(looks(&mut watch, 3), 1);
    }

    /// What would hang is read by nobody here, and whoever is told of it has a word for that.
    #[cfg(unix)]
    #[test]
    fn a_pipe_that_comes_is_a_change_whatever_was_there_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("firegate.yaml");
        let pipe = |path: &Path| {
            let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
            assert!(made.success());
        };
        fs::write(&file, "one").expect("it is written");
        let mut watch = watch(&[&file]);
        fs::remove_file(&file).expect("it is removed");
        assert_eq!(looks(&mut watch, 3), 1);
        pipe(&file);
        assert_eq!(looks(&mut watch, 3), 1);
        let other = folder.path().join("other");
        pipe(&other);
        fs::rename(&other, &file).expect("it is put in its place");
        assert_eq!(looks(&mut watch, 3), 1);
        assert_eq!(looks(&mut watch, 3), 0);
    }

    /// A mounted ConfigMap: the file is a link through `..data`, and that link is what is replaced.
    #[cfg(unix)]
    #[test]
    fn a_directory_that_is_exchanged_by_its_link_is_a_change_of_its_files() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).expect("a folder");
            fs::write(at(version).join("firegate.yaml"), version).expect("it is written");
        }
        symlink("..1", at("..data")).expect("a link");
        symlink("..data/firegate.yaml", at("firegate.yaml")).expect("a link");
        let mut watch = watch(&[&at("firegate.yaml")]);
        assert_eq!(looks(&mut watch, 3), 0);
        symlink("..2", at("..data_tmp")).expect("a link");
        fs::rename(at("..data_tmp"), at("..data")).expect("it is exchanged");
        assert_eq!(looks(&mut watch, 3), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_acknowledged_is_not_told_again_and_what_comes_after_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("firegate.yaml");
        fs::write(&file, "one").expect("it is written");
        let mut watch = FileWatch::default();
        watch.watch(vec![file.clone()]).await;
        fs::write(&file, "two").expect("it is written");
        watch.acknowledge().await;
        let told = |watch: &mut FileWatch| {
            let mut watch = watch.clone();
            async move { tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.is_ok() }
        };
        assert!(!told(&mut watch).await);
        fs::write(&file, "three").expect("it is written");
        assert!(told(&mut watch).await);
        watch.watch(Vec::new()).await;
        assert!(!told(&mut watch).await);
    }
}
