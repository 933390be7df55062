//! The lower bound of a push: the same requests again, with their bytes in memory.
//!
//! Owns the plan of a replay (which request waits for which) and its run over kept connections.
//! The plan comes from a proxy's record and the registry's own storage. Refuses to judge: a status
//! that differs from the recorded one is an error, for then the work was not the same.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use esb_test::{Connection, Exchange};

use crate::checks::{Outcome, Trouble, chain};

const PATIENCE: Duration = Duration::from_mins(1);
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
/// Headers that a replay's own client sets.
const FRAMING: [&str; 5] = ["host", "connection", "content-length", "transfer-encoding", "expect"];

/// One request of a plan.
#[derive(Debug, Clone, Default)]
struct Step {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Arc<[u8]>,
    status: u16,
    /// The requests that must be answered before.
    after: Vec<usize>,
    /// The request whose answer says where this upload goes on.
    session: Option<usize>,
}

/// Requests that can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// How many were under way at once.
    pub(crate) connections: usize,
}

impl Plan {
    /// The requests of a record; `storage` is the data folder of the registry that has answered.
    pub(crate) fn new(record: &[Exchange], storage: &Path) -> Outcome<Self> {
        let connections = record.iter().map(|exchange| exchange.beside).max().unwrap_or(1);
        let mut steps = plan(record);
        let storage = Storage(storage.join("docker/registry/v2"));
        let mut sent: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, exchange) in record.iter().enumerate() {
            let length = usize::try_from(exchange.request_bytes).unwrap_or(usize::MAX);
            if length == 0 {
                continue;
            }
            let (bytes, from) = match steps[at].session {
                Some(session) => {
                    let digest = upload_digest(record, &steps, session)
                        .ok_or_else(|| format!("`{}` was never ended", exchange.target))?;
                    let from = sent.entry(session).or_default();
                    *from += length;
                    (storage.blob(&digest)?, *from - length)
                }
                None => (storage.manifest(&exchange.target)?, 0),
            };
            let part = bytes.get(from..from + length);
            steps[at].body = part.ok_or("a body that the storage does not hold")?.into();
        }
        Ok(Self { steps, connections })
    }

    /// Bare requests that wait for nothing.
    pub(crate) fn heads(targets: &[String], connections: usize) -> Self {
        let step = |target: &String| Step {
            method: "HEAD".to_owned(),
            target: target.clone(),
            headers: vec![("Accept".to_owned(), MANIFESTS.to_owned())],
            status: 200,
            ..Step::default()
        };
        Self { steps: targets.iter().map(step).collect(), connections }
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Sends everything to a registry; gives the seconds from the first request to the last answer.
    pub(crate) fn run(&self, address: &str) -> Outcome<f64> {
        let open = || Connection::open(address, PATIENCE);
        let connections: Vec<Connection> =
            (0..self.connections).map(|_| open()).collect::<Result<_, _>>()?;
        let work = Work { plan: self, state: Mutex::default(), change: Condvar::new() };
        {
            let mut state = work.lock();
            state.taken = vec![false; self.steps.len()];
            state.finished = vec![false; self.steps.len()];
        }
        let start = Instant::now();
        thread::scope(|scope| {
            for mut connection in connections {
                let work = &work;
                scope.spawn(move || work.serve(&mut connection));
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        match work.state.into_inner().unwrap_or_else(PoisonError::into_inner).trouble {
            None => Ok(seconds),
            Some(text) => Err(Trouble::Failed(format!("replay: {text}"))),
        }
    }
}

/// A run of a plan.
struct Work<'a> {
    plan: &'a Plan,
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Default)]
struct State {
    taken: Vec<bool>,
    finished: Vec<bool>,
    /// All requests before this one are taken.
    front: usize,
    locations: BTreeMap<usize, String>,
    trouble: Option<String>,
}

impl Work<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one request after another until none is left.
    fn serve(&self, connection: &mut Connection) {
        while let Some((at, target)) = self.take() {
            let answer = send(connection, &self.plan.steps[at], &target);
            let mut state = self.lock();
            match answer {
                Ok(Some(location)) => {
                    let session = self.plan.steps[at].session.unwrap_or(at);
                    state.locations.insert(session, location);
                }
                Ok(None) => {}
                Err(text) => state.trouble = Some(text),
            }
            state.finished[at] = true;
            drop(state);
            self.change.notify_all();
        }
    }

    /// The first request that nobody has taken and that waits for none, with its target.
    fn take(&self) -> Option<(usize, String)> {
        let mut state = self.lock();
        loop {
            while state.taken.get(state.front) == Some(&true) {
                state.front += 1;
            }
            if state.trouble.is_some() || state.front == self.plan.steps.len() {
                return None;
            }
            let ready = (state.front..self.plan.steps.len()).find(|at| {
                let after = &self.plan.steps[*at].after;
                !state.taken[*at] && after.iter().all(|other| state.finished[*other])
            });
            let Some(at) = ready else {
                state = self.change.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.taken[at] = true;
            let step = &self.plan.steps[at];
            let location = step.session.and_then(|session| state.locations.get(&session));
            let target = match (location, query(&step.target, "digest")) {
                (Some(location), Some(digest)) => {
                    let joint = if location.contains('?') { '&' } else { '?' };
                    format!("{location}{joint}digest={digest}")
                }
                (Some(location), None) => location.clone(),
                (None, _) => step.target.clone(),
            };
            return Some((at, target));
        }
    }
}

/// Gives the path under which an upload goes on, when the answer names one.
fn send(connection: &mut Connection, step: &Step, target: &str) -> Result<Option<String>, String> {
    let headers: Vec<(&str, &str)> =
        step.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = connection.request(&step.method, target, &headers, &step.body);
    let answer = answer.map_err(|error| chain(&error))?;
    if answer.status != step.status {
        return Err(format!(
            "{} {target}: {} instead of {}",
            step.method, answer.status, step.status
        ));
    }
    let location = answer.header("location").filter(|_| answer.status == 202);
    Ok(location.map(|location| match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        None => location.to_owned(),
    }))
}

/// What a request is, and what must be answered before it.
fn plan(record: &[Exchange]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::with_capacity(record.len());
    let mut sessions: BTreeMap<String, usize> = BTreeMap::new();
    for (at, exchange) in record.iter().enumerate() {
        let kind = Kind::of(exchange);
        let earlier = |wanted: &dyn Fn(usize, &Exchange) -> bool| -> Vec<usize> {
            (0..at).filter(|other| wanted(*other, &record[*other])).collect()
        };
        let (mut after, mut session) = (Vec::new(), None);
        match &kind {
            Kind::Open { repository, mount } => {
                // A mount needs the blob; both come after the question whether it is there.
                after = earlier(&|_, other| match (mount, Kind::of(other)) {
                    (_, Kind::Head { repository: asked }) => asked == *repository,
                    (Some((digest, from)), Kind::Upload { repository, digest: Some(sent), .. }) => {
                        repository == *from && sent == *digest
                    }
                    (Some((digest, from)), Kind::Open { repository, mount: Some((blob, _)) }) => {
                        repository == *from && blob == *digest
                    }
                    _ => false,
                });
            }
            Kind::Upload { repository, session: name, digest } => {
                let free = |other: usize, asked: &dyn Fn(Option<&String>) -> bool| {
                    let Kind::Open { repository: opened, mount } = Kind::of(&record[other]) else {
                        return false;
                    };
                    opened == *repository
                        && record[other].status == Some(202)
                        && !sessions.values().any(|taken| *taken == other)
                        && asked(mount.as_ref().map(|(blob, _)| blob))
                };
                // An upload that was opened by asking for its own blob has to go on there, and
                // another one not where that is still to come.
                let first = |asked: &dyn Fn(Option<&String>) -> bool| {
                    (0..at).find(|other| free(*other, asked))
                };
                let known = sessions.get(name).copied();
                session = known
                    .or_else(|| first(&|blob| blob.is_some() && blob == digest.as_ref()))
                    .or_else(|| first(&|blob| blob.is_none()))
                    .or_else(|| first(&|_| true));
                if let Some(session) = session {
                    sessions.insert(name.clone(), session);
                    after = (0..at)
                        .filter(|other| *other == session || steps[*other].session == Some(session))
                        .collect();
                }
            }
            Kind::Manifest { repository } => {
                after = earlier(&|_, other| Kind::of(other).repository() == Some(repository));
            }
            Kind::Verify { repository } => {
                after = earlier(
                    &|_, other| matches!(Kind::of(other), Kind::Manifest { repository: put } if put == *repository),
                );
            }
            Kind::Head { .. } | Kind::Other => {}
        }
        let headers = exchange
            .headers
            .iter()
            .filter(|(name, _)| !FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)));
        steps.push(Step {
            method: exchange.method.clone(),
            target: exchange.target.clone(),
            headers: headers.cloned().collect(),
            body: Arc::default(),
            status: exchange.status.unwrap_or(0),
            after,
            session,
        });
    }
    steps
}

/// What a request to a registry is about.
enum Kind {
    Head { repository: String },
    Open { repository: String, mount: Option<(String, String)> },
    Upload { repository: String, session: String, digest: Option<String> },
    Manifest { repository: String },
    Verify { repository: String },
    Other,
}

impl Kind {
    fn of(exchange: &Exchange) -> Self {
        let path = exchange.target.split('?').next().unwrap_or_default();
        let rest = path.strip_prefix("/v2/").unwrap_or_default();
        let words = |marker: &str| {
            let (repository, rest) = rest.rsplit_once(marker)?;
            Some((repository.to_owned(), rest.to_owned()))
        };
        let of = |name| query(&exchange.target, name);
        match exchange.method.as_str() {
            "POST" => words("/blobs/uploads/").map_or(Self::Other, |(repository, _)| Self::Open {
                repository,
                mount: of("mount").zip(of("from")),
            }),
            "PUT" | "PATCH" => match (words("/blobs/uploads/"), words("/manifests/")) {
                (Some((repository, session)), _) => {
                    Self::Upload { repository, session, digest: of("digest") }
                }
                (None, Some((repository, _))) => Self::Manifest { repository },
                (None, None) => Self::Other,
            },
            "HEAD" | "GET" => match (words("/blobs/"), words("/manifests/")) {
                (Some((repository, _)), _) => Self::Head { repository },
                (None, Some((repository, _))) => Self::Verify { repository },
                (None, None) => Self::Other,
            },
            _ => Self::Other,
        }
    }

    fn repository(&self) -> Option<&String> {
        match self {
            Self::Head { repository }
            | Self::Open { repository, .. }
            | Self::Upload { repository, .. }
            | Self::Manifest { repository }
            | Self::Verify { repository } => Some(repository),
            Self::Other => None,
        }
    }
}

/// The digest that ends an upload.
fn upload_digest(record: &[Exchange], steps: &[Step], session: usize) -> Option<String> {
    let mut ends = record.iter().zip(steps).filter(|(_, step)| step.session == Some(session));
    ends.find_map(|(exchange, _)| query(&exchange.target, "digest"))
}

/// A value of a target's query; a colon may be escaped in it.
fn query(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(found.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/").replace("%2f", "/"))
}

/// A registry's folder.
struct Storage(PathBuf);

impl Storage {
    fn blob(&self, digest: &str) -> Outcome<Vec<u8>> {
        let hex = digest.strip_prefix("sha256:").ok_or("a digest of another kind")?;
        let folder = hex.get(..2).ok_or("a digest that is too short")?;
        Ok(fs::read(self.0.join("blobs/sha256").join(folder).join(hex).join("data"))?)
    }

    /// The manifest that a request for it left.
    fn manifest(&self, target: &str) -> Outcome<Vec<u8>> {
        let path = target.split('?').next().unwrap_or_default();
        let parts = path.strip_prefix("/v2/").and_then(|rest| rest.rsplit_once("/manifests/"));
        let (repository, reference) =
            parts.ok_or_else(|| format!("`{target}` has a body and is no manifest"))?;
        let reference = reference.replace("%3A", ":");
        if reference.contains(':') {
            return self.blob(&reference);
        }
        let manifests = self.0.join("repositories").join(repository).join("_manifests");
        let link = manifests.join("tags").join(reference).join("current/link");
        self.blob(fs::read_to_string(link)?.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(method: &str, target: &str, status: u16) -> Exchange {
        let (method, target) = (method.to_owned(), target.to_owned());
        Exchange { method, target, status: Some(status), ..Exchange::default() }
    }

    #[test]
    fn requests_wait_for_what_they_need() {
        let record = [
            exchange("HEAD", "/v2/a/blobs/sha256:11", 404),
            exchange("POST", "/v2/a/blobs/uploads/", 202),
            exchange("PATCH", "/v2/a/blobs/uploads/u1?_state=x", 202),
            exchange("PUT", "/v2/a/blobs/uploads/u1?_state=y&digest=sha256%3A11", 201),
            exchange("HEAD", "/v2/b/c/blobs/sha256:11", 404),
            exchange("POST", "/v2/b/c/blobs/uploads/?mount=sha256%3A11&from=a", 201),
            exchange("POST", "/v2/d/blobs/uploads/?mount=sha256:11&from=b/c", 201),
            exchange("PUT", "/v2/a/manifests/t", 201),
            exchange("PUT", "/v2/b/c/manifests/t", 201),
            exchange("GET", "/v2/", 200),
            exchange("HEAD", "/v2/a/manifests/t", 200),
        ];
        let steps = plan(&record);
        let after: Vec<&[usize]> = steps.iter().map(|step| &step.after[..]).collect();
        assert_eq!(
            after,
            [&[][..], &[0], &[1], &[1, 2], &[], &[3, 4], &[5], &[0, 1, 2, 3], &[4, 5], &[], &[7]]
        );
        assert_eq!(steps[3].session, Some(1));
        assert_eq!(upload_digest(&record, &steps, 1).as_deref(), Some("sha256:11"));
    }

    #[test]
    fn an_upload_goes_on_where_its_own_blob_was_asked_for() {
        // The other one was opened for its own blob too, or for whatever comes.
        for other in ["?mount=sha256:11&from=a", ""] {
            let record = [
                exchange("POST", "/v2/a/blobs/uploads/?mount=sha256:22&from=a", 202),
                exchange("POST", &format!("/v2/a/blobs/uploads/{other}"), 202),
                exchange("PUT", "/v2/a/blobs/uploads/u1?_state=x&digest=sha256:11", 201),
                exchange("PUT", "/v2/a/blobs/uploads/u2?_state=x&digest=sha256:22", 201),
            ];
            let steps = plan(&record);
            assert_eq!([steps[2].session, steps[3].session], [Some(1), Some(0)], "{other}");
        }
    }
}
