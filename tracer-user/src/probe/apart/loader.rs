//! The thread that may load and attach programs.

use std::{
    io,
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
};

use crate::rights::{Kept, forbid_calls, reduce_this_thread};

type Work = Box<dyn FnOnce() + Send>;

/// A thread with the rights that this process was given. Dropping it ends it.
#[derive(Debug)]
pub struct Loader {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts it with the rights of the calling thread, but for those that tracing does not take.
    ///
    /// # Errors
    /// As of `pthread_create(3)` and `capset(2)`.
    pub fn start() -> io::Result<Self> {
        let (work, taken) = mpsc::channel::<Work>();
        let (ready, reduced) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("loader".to_owned())
            .spawn(move || {
                let rights =
                    reduce_this_thread(Kept::Tracing).and_then(|()| forbid_calls(Kept::Tracing));
                let goes_on = rights.is_ok();
                if ready.send(rights).is_ok() && goes_on {
                    taken.iter().for_each(|work| work());
                }
            })?;
        let loader = Self {
            work: Some(work),
            thread: Some(thread),
        };
        reduced.recv().map_err(io::Error::other)??;
        Ok(loader)
    }

    /// Waits until it has done this.
    ///
    /// # Errors
    /// It has ended by a panic.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, done) = mpsc::sync_channel(1);
        let work: Work = Box::new(move || {
            // Whoever asked waits.
            let _ = sender.send(work());
        });
        self.work
            .as_ref()
            .and_then(|queue| queue.send(work).ok())
            .and_then(|()| done.recv().ok())
            .ok_or_else(|| io::Error::other("the thread that loads programs has ended"))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was said when it came.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Held;

    #[test]
    fn it_has_its_rights_while_others_have_given_theirs_up_and_ends_with_them() {
        let before = Held::now();
        let (elsewhere, here, id) = thread::spawn(|| {
            let loader = Loader::start().expect("a thread");
            reduce_this_thread(Kept::Looking).expect("rights given up");
            let elsewhere = loader.run(Held::now).expect("an answer");
            let id = loader.run(nix::unistd::gettid).expect("an answer");
            (elsewhere, Held::now(), id)
        })
        .join()
        .expect("no panic");
        assert_eq!(elsewhere.effective, Kept::Tracing.of(&before));
        assert_eq!(here.effective, Kept::Looking.of(&before));
        assert!(!std::path::Path::new(&format!("/proc/self/task/{id}")).exists());
    }

    #[test]
    fn work_that_panics_is_an_error_and_not_a_wait_for_ever() {
        let answer = thread::spawn(|| {
            let loader = Loader::start().expect("a thread");
            loader.run(|| panic!("on purpose"))
        })
        .join()
        .expect("no panic here");
        let answer: io::Result<()> = answer;
        assert!(answer.expect_err("it ended").to_string().contains("ended"));
    }
}
