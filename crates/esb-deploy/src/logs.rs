//! Reads what functions logged, from the platform's log store (`VictoriaLogs`).
//!
//! Owns the query and the form of a record (docs/contracts/platform.md#log-records). Refuses to
//! print, and to know where the store's address was said.

use std::{collections::BTreeSet, fmt, time::Duration};

use esb_image::docker::{ContainerInfo, DockerEngine};
use serde_json::{Map, Value};

use crate::error::{Error, Kind};

/// The service of the log store in the platform's compose project.
const SERVICE: &str = "victorialogs";

/// The port on which the store listens in its container.
const PORT: u16 = 9428;

/// How long the store may take to accept a connection, and to answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_mins(1);

/// The most bytes of an answer.
const ANSWER_LIMIT: usize = 256 * 1024 * 1024;

/// While records are followed, how often the store is asked, and for how far back: a record can be
/// found only some time after it was made.
const PAUSE: Duration = Duration::from_secs(1);
const OVERLAP: &str = "60s";

/// The most records of one look at what is new.
const NEW_LIMIT: u32 = 100_000;

/// How many records may be of one moment.
const SAME_MOMENT: u32 = 1000;

/// The start of the time that a query is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// So long before now.
    Ago(Duration),
    /// A moment, as RFC 3339 has it.
    At(String),
}

/// Which records are wanted; conditions that are not set leave all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The function's name.
    pub function: Option<String>,
    /// A trace id, or the whole header that holds it.
    pub trace: Option<String>,
    /// The id of one invocation.
    pub request: Option<String>,
    pub since: Option<Since>,
    /// The most records: the last ones.
    pub limit: u32,
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// All fields, as the store has them.
    pub fields: Map<String, Value>,
    /// The line that the store gave for it.
    line: String,
}

impl LogRecord {
    fn parse(line: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { fields: serde_json::from_str(line)?, line: line.to_owned() })
    }

    /// A field; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl LogQuery {
    /// The query in the store's language.
    fn text(&self) -> String {
        let time = match &self.since {
            Some(Since::Ago(duration)) => format!("_time:{}s", duration.as_secs().max(1)),
            Some(Since::At(moment)) => format!("_time:>={moment}"),
            None => "*".to_owned(),
        };
        self.of_time(&time)
    }

    fn of_time(&self, time: &str) -> String {
        let mut words = vec![time.to_owned()];
        let quoted = |text: &String| Value::from(text.as_str()).to_string();
        // Other functions' names may hold this one.
        words
            .extend(self.function.as_ref().map(|name| format!("container_name:={}", quoted(name))));
        // Records hold the whole header.
        words.extend(self.trace.as_ref().map(|id| format!("trace_id:{}", quoted(id))));
        words.extend(self.request.as_ref().map(|id| format!("aws_request_id:={}", quoted(id))));
        words.join(" AND ")
    }
}

/// The platform's log store.
#[derive(Clone)]
pub struct LogStore {
    address: reqwest::Url,
}

impl fmt::Debug for LogStore {
    /// The address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore").field("address", &self.shown()).finish_non_exhaustive()
    }
}

impl LogStore {
    /// The store at an address such as `http://127.0.0.1:9428`.
    ///
    /// # Errors
    /// When the text is no address.
    pub fn new(address: &str) -> Result<Self, Error> {
        let wrong = |error: &(dyn std::error::Error + 'static)| {
            Error::of(Kind::Usage, "logs", error).during("the log store's address cannot be used")
        };
        let whole =
            if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut address: reqwest::Url = whole.parse().map_err(|error| wrong(&error))?;
        // What is joined to it lies below it.
        if !address.path().ends_with('/') {
            let path = format!("{}/", address.path());
            address.set_path(&path);
        }
        Ok(Self { address })
    }

    fn client(&self) -> Result<reqwest::Client, Error> {
        esb_registry::install_tls_provider();
        let mut client = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT);
        if self.address.scheme() == "http" {
            // The system's certificates are not read for nothing.
            client = client.tls_certs_only(Vec::new());
        }
        let client = client.timeout(ANSWER).build();
        client.map_err(|error| Error::of(Kind::Local, "logs", &error))
    }

    /// The store of a compose project that runs; none when the project has none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn of_project(
        engine: &DockerEngine,
        compose_project: &str,
    ) -> Result<Option<Self>, Error> {
        let labels = [("project", compose_project), ("service", SERVICE)]
            .map(|(key, value)| (format!("com.docker.compose.{key}"), value.to_owned()));
        let found = engine.containers(&labels).await?;
        let mut running = found.iter().filter(|container| container.running);
        running.find_map(address_of).map(|address| Self::new(&address)).transpose()
    }

    /// The address without user and password.
    pub fn shown(&self) -> String {
        let mut address = self.address.clone();
        let _ = address.set_username("");
        let _ = address.set_password(None);
        address.as_str().trim_end_matches('/').to_owned()
    }

    /// The last records that fit a query, the oldest first.
    ///
    /// # Errors
    /// When the store does not answer, or refuses the query.
    pub async fn records(&self, query: &LogQuery) -> Result<Vec<LogRecord>, Error> {
        self.last(&self.client()?, query).await
    }

    async fn last(
        &self,
        client: &reqwest::Client,
        query: &LogQuery,
    ) -> Result<Vec<LogRecord>, Error> {
        // Among records of one moment the store leaves out any, and not the first ones.
        let limit = query.limit.saturating_add(SAME_MOMENT);
        let mut records = self.ask(client, &query.text(), limit).await?;
        let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
        records.drain(..records.len().saturating_sub(wanted));
        Ok(records)
    }

    /// The last records that fit a query, then those that come, until `show` says that it is enough.
    ///
    /// # Errors
    /// When the store does not answer any more.
    pub async fn follow(
        &self,
        query: &LogQuery,
        mut show: impl FnMut(&LogRecord) -> bool,
    ) -> Result<(), Error> {
        let client = self.client()?;
        let new = query.of_time(&format!("_time:{OVERLAP}"));
        // What is there before is shown by the query alone.
        let lines = |records: Vec<LogRecord>| records.into_iter().map(|record| record.line);
        let mut seen: BTreeSet<String> = lines(self.ask(&client, &new, NEW_LIMIT).await?).collect();
        let first = self.last(&client, query).await?;
        if !first.iter().all(&mut show) {
            return Ok(());
        }
        seen.extend(lines(first));
        loop {
            tokio::time::sleep(PAUSE).await;
            let found = self.ask(&client, &new, NEW_LIMIT).await?;
            let mut unseen = found.iter().filter(|record| !seen.contains(&record.line));
            if !unseen.all(&mut show) {
                return Ok(());
            }
            seen = lines(found).collect();
        }
    }

    async fn ask(
        &self,
        client: &reqwest::Client,
        query: &str,
        limit: u32,
    ) -> Result<Vec<LogRecord>, Error> {
        let failed = |error: &reqwest::Error| {
            let text = format!("could not read the log store at `{}`", self.shown());
            let mut cause: &dyn std::error::Error = error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            let mut failure = Error::new(Kind::Remote, "logs", text);
            failure.causes.push(cause.to_string());
            failure
        };
        let broken = |cause: String| {
            let text = format!("the log store at `{}` cannot be read", self.shown());
            let mut failure = Error::new(Kind::Remote, "logs", text);
            failure.causes.push(cause);
            failure
        };
        let url = self.address.join("select/logsql/query");
        let mut url = url.map_err(|error| broken(error.to_string()))?;
        url.query_pairs_mut().append_pair("query", query).append_pair("limit", &limit.to_string());
        let mut response = client.get(url).send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_LIMIT {
                return Err(broken(format!("its answer has more than {ANSWER_LIMIT} bytes")));
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if !status.is_success() {
            let first = text.lines().next().unwrap_or_default();
            return Err(broken(format!("it says {status}: {first}")));
        }
        let records = text.lines().filter(|line| !line.trim().is_empty()).map(LogRecord::parse);
        let mut records: Vec<_> = records
            .collect::<Result<_, _>>()
            .map_err(|error| broken(format!("its answer is not JSON: {error}")))?;
        // Records of one moment come in the order in which they were made, which a sort by the store
        // does not keep.
        records.sort_by(|a, b| moment(a).cmp(moment(b)));
        Ok(records)
    }
}

/// A record's time, in a form that sorts whatever its precision.
fn moment(record: &LogRecord) -> &str {
    record.text("_time").trim_end_matches('Z')
}

/// Where this machine reaches a container's port: as it is published, else in its network.
fn address_of(container: &ContainerInfo) -> Option<String> {
    let published = container.ports.iter().find(|port| port.inside == PORT);
    let address = published.map(|port| port.address.to_string()).or_else(|| {
        let inside = container.networks.iter().find_map(|network| network.address)?;
        Some(format!("{inside}:{PORT}"))
    })?;
    Some(format!("http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_what_is_wanted() {
        let mut query = LogQuery { limit: 5, ..LogQuery::default() };
        assert_eq!(query.text(), "*");
        query.function = Some("it\"s".to_owned());
        query.since = Some(Since::Ago(Duration::from_secs(90)));
        let expected = r#"_time:90s AND container_name:="it\"s""#;
        assert_eq!(query.text(), expected);
        query = LogQuery {
            trace: Some("1-2-3".to_owned()),
            request: Some("r".to_owned()),
            since: Some(Since::At("2026-01-31T00:00:00Z".to_owned())),
            ..query
        };
        query.function = None;
        let expected =
            r#"_time:>=2026-01-31T00:00:00Z AND trace_id:"1-2-3" AND aws_request_id:="r""#;
        assert_eq!(query.text(), expected);
    }

    /// Nothing but logs, in a program that never spoke to a registry.
    #[test]
    fn a_client_finds_a_provider_for_tls() {
        for address in ["http://127.0.0.1:9428", "https://127.0.0.1:9428"] {
            LogStore::new(address).unwrap().client().unwrap();
        }
    }

    #[test]
    fn an_address_is_completed_and_its_password_is_not_shown() {
        let shown = |address: &str| LogStore::new(address).unwrap().shown();
        assert_eq!(shown("logs:9428"), "http://logs:9428");
        assert_eq!(shown("http://u:secret@logs/a/"), "http://logs/a");
        let store = LogStore::new("http://u:secret@logs/a").unwrap();
        assert!(!format!("{store:?}").contains("secret"));
        let url = store.address.join("select").unwrap();
        assert_eq!(url.path(), "/a/select");
        assert_eq!(LogStore::new("http://").unwrap_err().kind, Kind::Usage);
    }
}
