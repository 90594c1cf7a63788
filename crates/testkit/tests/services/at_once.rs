//! Several processes that plan one service at once, in every order of their writes: there are never too many replicas.

use crate::stage::{Stage, living, request};
use futures::FutureExt;
use futures::future::BoxFuture;
use inventiv_api::{App, Settings};
use inventiv_orchestrator::Orchestrator;
use inventiv_store::{Store, WriteHook};
use inventiv_testkit::{Database, TOKEN};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tower::ServiceExt;

/// Holds a process before and after each of its writes.
struct Gate {
    opened: Semaphore,
    reached: Notify,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self { opened: Semaphore::new(0), reached: Notify::new() })
    }

    fn hook(self: &Arc<Self>) -> WriteHook {
        let gate = self.clone();
        Arc::new(move |_| {
            let gate = gate.clone();
            Box::pin(async move {
                gate.reached.notify_one();
                gate.opened.acquire().await.unwrap().forget();
            })
        })
    }
}

/// A process whose work goes on from write to write.
struct Process<'a> {
    gate: Arc<Gate>,
    work: Option<BoxFuture<'a, ()>>,
    has_begun: bool,
}

impl<'a> Process<'a> {
    fn new(gate: &Arc<Gate>, work: BoxFuture<'a, ()>) -> Self {
        Self { gate: gate.clone(), work: Some(work), has_begun: false }
    }

    /// Goes on until the next gate, or to the end.
    async fn step(&mut self) {
        if std::mem::replace(&mut self.has_begun, true) {
            self.gate.opened.add_permits(1);
        }
        let Some(work) = self.work.as_mut() else { return };
        tokio::select! {
            biased;
            () = self.gate.reached.notified() => {}
            () = work => self.work = None,
        }
    }
}

/// Every order of the steps of two processes, one after the other.
#[derive(Default)]
struct Orders {
    path: Vec<bool>,
    at: usize,
}

impl Orders {
    /// Whether the second process goes on.
    fn choose(&mut self) -> bool {
        if self.at == self.path.len() {
            self.path.push(false);
        }
        self.at += 1;
        self.path[self.at - 1]
    }

    /// Whether there is another order.
    fn next(&mut self) -> bool {
        self.at = 0;
        while self.path.pop_if(|second| *second).is_some() {}
        match self.path.last_mut() {
            Some(last) => {
                *last = true;
                true
            }
            None => false,
        }
    }
}

/// Two further processes on a stage's database, and the API of the second.
struct Pair {
    gates: [Arc<Gate>; 2],
    orchestrators: [Orchestrator; 2],
    api: axum::Router,
}

impl Pair {
    async fn of(stage: &Stage) -> Self {
        let gates = [Gate::new(), Gate::new()];
        let (_, first) = stage.w.hooked_replica(gates[0].hook()).await;
        let (store, second): (Store, _) = stage.w.hooked_replica(gates[1].hook()).await;
        let api = App::new(Settings { store, ..stage.w.settings() }).router();
        Self { gates, orchestrators: [first, second], api }
    }

    /// The work of a process that plans so many times.
    fn plans(&self, n: usize, times: usize) -> BoxFuture<'_, ()> {
        async move {
            for _ in 0..times {
                self.orchestrators[n].reconcile_services().await.unwrap();
            }
        }
        .boxed()
    }

    /// The work of a process that answers a request.
    fn answers(&self, method: &str, path: &str, body: &Value) -> BoxFuture<'_, ()> {
        let request = axum::http::Request::builder().method(method).uri(path);
        let request =
            request.header("authorization", format!("Bearer {TOKEN}")).header("content-type", "application/json");
        let request = request.body(axum::body::Body::from(body.to_string())).unwrap();
        async move {
            let answer = self.api.clone().oneshot(request).await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.status());
        }
        .boxed()
    }

    /// Runs two works in one order. In each step, there are not too many replicas.
    async fn run(&self, stage: &mut Stage, works: [BoxFuture<'_, ()>; 2], orders: &mut Orders) {
        let [first, second] = works;
        let (mut first, mut second) = (Process::new(&self.gates[0], first), Process::new(&self.gates[1], second));
        loop {
            let is_second = match (first.work.is_some(), second.work.is_some()) {
                (true, true) => orders.choose(),
                (is_first, is_second) if is_first || is_second => is_second,
                _ => return,
            };
            if is_second {
                second.step().await
            } else {
                first.step().await
            }
            let shown = stage.show().await;
            stage.check(&shown);
        }
    }
}

/// Ends the service of one order, so that the next one begins without any.
async fn reset(stage: &mut Stage) {
    stage.end_again().await;
    stage.seen.clear();
}

/// Plans until nothing changes any more, as the next processes do.
async fn settle(stage: &mut Stage) -> Value {
    for _ in 0..10 {
        if stage.w.orchestrator.reconcile_services().await.unwrap() == 0 {
            let shown = stage.show().await;
            stage.check(&shown);
            return shown;
        }
    }
    panic!("the plans do not come to an end: {:#}", stage.show().await);
}

/// What the second process does.
#[derive(Clone, Copy)]
enum Second {
    Plans(usize),
    Asks(&'static str, &'static str),
}

/// A service that wants two replicas, planned by one process while a second one does something, in every order.
async fn in_every_order(database: Database, does: Second, body: &Value, check: impl AsyncFn(&mut Stage)) -> usize {
    let mut stage = Stage::new(database).await;
    let pair = Pair::of(&stage).await;
    let (mut orders, mut count) = (Orders::default(), 0);
    loop {
        stage.create(request(2, 2)).await;
        let second = match does {
            Second::Plans(times) => pair.plans(1, times),
            Second::Asks(method, path) => pair.answers(method, path, body),
        };
        pair.run(&mut stage, [pair.plans(0, 2), second], &mut orders).await;
        check(&mut stage).await;
        count += 1;
        reset(&mut stage).await;
        if !orders.next() {
            return count;
        }
    }
}

#[tokio::test]
async fn two_processes_that_create_replicas_never_create_too_many_in_any_order() {
    for database in Database::both() {
        let check = async |stage: &mut Stage| {
            assert_eq!(living(&settle(stage).await).len(), 2);
            assert_eq!(stage.seen.len(), 2, "no replica was created in vain");
        };
        let orders = in_every_order(database, Second::Plans(2), &Value::Null, check).await;
        assert!(orders > 50, "{orders}");
    }
}

#[tokio::test]
async fn a_service_that_is_deleted_while_a_process_creates_replicas_keeps_none_in_any_order() {
    for database in Database::both() {
        let check = async |stage: &mut Stage| assert!(living(&settle(stage).await).is_empty());
        let orders = in_every_order(database, Second::Asks("DELETE", "/services/chat"), &Value::Null, check).await;
        assert!(orders > 5, "{orders}");
    }
}

#[tokio::test]
async fn a_change_while_a_process_creates_replicas_is_obeyed_in_any_order() {
    let fewer = json!({"min_replicas": 1, "max_replicas": 1});
    let warm = json!({"seconds": 60});
    let command = json!({"engine": {"kind": "command", "command": ["serve", "--fast", "{port}"]}});
    for (method, path, body, revision, replicas) in [
        ("PATCH", "/services/chat", fewer, 1, 1),
        ("POST", "/services/chat/warm", warm, 1, 2),
        ("PATCH", "/services/chat", command, 2, 2),
    ] {
        let check = async |stage: &mut Stage| {
            let shown = settle(stage).await;
            assert_eq!((&shown["revision"], living(&shown).len()), (&json!(revision), replicas), "{body}: {shown:#}");
            assert!(living(&shown).iter().all(|r| r["is_current"] == true), "{body}: {shown:#}");
        };
        let orders = in_every_order(Database::Sqlite, Second::Asks(method, path), &body, check).await;
        assert!(orders > 5, "{orders}");
    }
}

#[tokio::test]
async fn two_processes_that_end_replicas_end_none_too_many_in_any_order() {
    for database in Database::both() {
        let mut stage = Stage::new(database).await;
        let pair = Pair::of(&stage).await;
        let (mut orders, mut count) = (Orders::default(), 0);
        loop {
            stage.create(request(2, 2)).await;
            assert_eq!(living(&settle(&mut stage).await).len(), 2);
            stage.change(json!({"min_replicas": 1, "max_replicas": 1})).await;
            pair.run(&mut stage, [pair.plans(0, 1), pair.plans(1, 1)], &mut orders).await;
            assert_eq!(living(&settle(&mut stage).await).len(), 1);
            assert_eq!(stage.seen.len(), 2, "none was ended and created again");
            count += 1;
            reset(&mut stage).await;
            if !orders.next() {
                break;
            }
        }
        assert!(count > 30, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_at_once_never_create_too_many() {
    for database in Database::both() {
        let mut stage = Stage::new(database).await;
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(stage.w.hooked_replica(Arc::new(|_| std::future::ready(()).boxed())).await.1);
        }
        stage.create(request(1, 3)).await;
        let all_plan = async |stage: &mut Stage| {
            let plans = others.iter().map(|o| {
                let o = o.clone();
                tokio::spawn(async move { o.reconcile_services().await.unwrap() })
            });
            for planned in futures::future::join_all(plans).await {
                planned.unwrap();
            }
            stage.turn().await;
            let shown = stage.show().await;
            stage.check(&shown);
            assert!(stage.w.left().0 <= shown["replicas"].as_array().unwrap().len(), "{shown:#}");
        };
        for (requests, replicas) in [(12, 3), (0, 1), (7, 2)] {
            stage.ask(requests, 0);
            let mut shown = Value::Null;
            for _ in 0..400 {
                all_plan(&mut stage).await;
                shown = stage.show().await;
                if crate::stage::is_ready_with(&shown, replicas) {
                    break;
                }
            }
            assert!(crate::stage::is_ready_with(&shown, replicas), "{requests}: {shown:#}");
        }
        assert_eq!(stage.seen.len(), 4, "{:?}", stage.seen);
        stage.end().await;
    }
}
