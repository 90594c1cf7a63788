//! Tests of `background.rs`.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counted {
    runs: Arc<AtomicUsize>,
    fails: bool,
}

#[async_trait]
impl BackgroundTask for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&mut self, _stop: &CancellationToken) -> Result<(), Error> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if self.fails { Err(Error::Unavailable("test".to_owned())) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_at_once_and_once_a_period_whether_it_fails_or_not_until_it_is_stopped() {
    for fails in [false, true] {
        let (runs, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let task = tokio::spawn(keep_running(Counted { runs: runs.clone(), fails }, stop.clone()));
        tokio::time::sleep(Duration::from_secs(150)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3, "at 0, 60 and 120 s");
        stop.cancel();
        task.await.unwrap();
        tokio::time::sleep(Duration::from_secs(150)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
