//! Authenticates requests: credentials are looked up once for each host, tokens are requested once
//! for each scope.
//!
//! Owns what is known of each registry while a client lives. The first request to a registry goes
//! alone, so that many at once do not all run into the same 401, unless the caller presumes that there
//! is none; nothing is asked beforehand.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use esb_model::Secret;
use esb_oci::{CredentialError, Credentials};
use reqwest::{
    Method, Url,
    header::{HeaderValue, WWW_AUTHENTICATE},
};
use tokio::{
    sync::{OnceCell, OwnedMutexGuard},
    time::Instant,
};

use crate::{
    Attempted, Denial, Error,
    challenge::{self, Challenge},
    http::{Http, Payload, Request, answer},
    response::{Answer, read},
    retry::AttemptError,
};

/// The most bytes of a token server's answer.
const TOKEN_LIMIT: usize = 256 * 1024;
/// How long a token is valid that does not say so, and the least that one may be valid
/// (distribution's token specification).
const TOKEN_LIFE: u64 = 60;

/// The registries of a client.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// The authentication state of one registry.
#[derive(Debug)]
pub(crate) struct Host {
    registry: String,
    first: Arc<tokio::sync::Mutex<()>>,
    /// Whether the first request has ended, well or not.
    spoken: AtomicBool,
    /// Whether it has answered, if only to refuse.
    answered: AtomicBool,
    wants: Mutex<Wants>,
    /// By the names under which they are kept.
    credentials: Mutex<HashMap<String, Known>>,
    /// Whether there are credentials of some repository.
    has_credentials: AtomicBool,
    /// By scopes.
    tokens: Mutex<HashMap<Vec<String>, Slot>>,
}

/// Credentials that were looked up, or why they could not be.
type Known = Arc<OnceCell<Result<Option<Credentials>, Arc<CredentialError>>>>;

/// A token, locked while it is asked for.
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wants {
    Unknown,
    Nothing,
    Something(Challenge),
}

#[derive(Clone)]
struct Token {
    text: Secret<String>,
    expires: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// The authorization of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authorization {
    Basic { username: String, password: Secret<String> },
    Bearer(Secret<String>),
}

impl Authorization {
    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Basic { username, password } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.reveal())))
            }
            Self::Bearer(token) => format!("Bearer {}", token.reveal()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Authenticator {
    /// What is known of a registry.
    pub(crate) fn host(&self, registry: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(registry.to_owned()).or_insert_with(|| {
            Arc::new(Host {
                registry: registry.to_owned(),
                first: Arc::default(),
                spoken: AtomicBool::new(false),
                answered: AtomicBool::new(false),
                wants: Mutex::new(Wants::Unknown),
                credentials: Mutex::default(),
                has_credentials: AtomicBool::new(false),
                tokens: Mutex::default(),
            })
        });
        Arc::clone(host)
    }
}

impl Host {
    /// Waits until the registry has been spoken to, or gives the right to be the first to do so.
    /// Where the first request failed, the others do not wait for each other.
    pub(crate) async fn first_contact(&self) -> Option<OwnedMutexGuard<()>> {
        if self.spoken.load(Ordering::SeqCst) {
            return None;
        }
        let guard = Arc::clone(&self.first).lock_owned().await;
        (!self.spoken.load(Ordering::SeqCst)).then_some(guard)
    }

    /// Notes that a request has ended.
    pub(crate) fn spoke(&self) {
        self.spoken.store(true, Ordering::SeqCst);
    }

    /// Notes that the registry has answered.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::SeqCst);
    }

    /// Whether the registry has answered, if only to refuse.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }

    fn wants(&self) -> Wants {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the registry has answered without wanting anything.
    pub(crate) fn is_open(&self) -> bool {
        self.wants() == Wants::Nothing
    }

    /// Learns from an answer; gives whether it asks for authentication that we know how to give.
    ///
    /// A challenge from another host is ignored: it would get the registry's credentials.
    pub(crate) fn learn(&self, answer: &Answer) -> bool {
        if !answer.is_own() {
            return false;
        }
        let mut wants = self.wants.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.status().as_u16() != 401 {
            if *wants == Wants::Unknown {
                *wants = Wants::Nothing;
            }
            return false;
        }
        let values = answer.headers().get_all(WWW_AUTHENTICATE);
        let challenge = challenge::read(values.iter().filter_map(|value| value.to_str().ok()));
        let Some(challenge) = challenge else { return false };
        // Who takes tokens never gets the password itself.
        if challenge == Challenge::Basic
            && matches!(*wants, Wants::Something(Challenge::Bearer { .. }))
        {
            return false;
        }
        *wants = Wants::Something(challenge);
        true
    }

    /// Forgets a token that the registry did not take.
    pub(crate) async fn forget(&self, scopes: &[String], used: &Authorization) {
        let Authorization::Bearer(used) = used else { return };
        let slot = self.slot(scopes);
        let mut token = slot.lock().await;
        if token.as_ref().is_some_and(|token| token.text == *used) {
            *token = None;
        }
    }

    fn slot(&self, scopes: &[String]) -> Slot {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tokens.entry(scopes.to_vec()).or_default())
    }

    /// Whether there are credentials that the connection does not allow to be sent.
    pub(crate) fn withholds(&self, http: &Http, origin: &Url) -> bool {
        self.has_credentials.load(Ordering::SeqCst) && !allowed(http, origin)
    }

    /// Why a request was denied, where the registry said no more than that it was.
    pub(crate) fn denial(&self, said: Denial, withheld: bool) -> Denial {
        let has = self.has_credentials.load(Ordering::SeqCst) && !withheld;
        if has && said == Denial::Required { Denial::NotAccepted } else { said }
    }

    /// Why there were no credentials for a request, when some may be kept and could not be read.
    pub(crate) fn lacks(&self, http: &Http, attempted: &Attempted) -> Option<Error> {
        let known = self.known(http, attempted);
        let source = Arc::clone(known.get()?.as_ref().err()?);
        Some(Error::Credentials { attempted: Box::new(attempted.clone()), source })
    }

    fn known(&self, http: &Http, attempted: &Attempted) -> Known {
        let name = self.name(http, attempted);
        let mut credentials = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(credentials.entry(name).or_default())
    }

    /// The name under which the credentials for a request are kept.
    fn name(&self, http: &Http, attempted: &Attempted) -> String {
        if attempted.repository.is_empty() {
            return self.registry.clone();
        }
        http.settings.credentials.name_of(&self.registry, &attempted.repository)
    }

    /// The authorization for a request, when the registry is known to require one.
    pub(crate) async fn authorization(
        &self,
        http: &Http,
        origin: &Url,
        scopes: &[String],
        attempted: &Attempted,
    ) -> Result<Option<Authorization>, AttemptError> {
        match self.wants() {
            Wants::Unknown | Wants::Nothing => Ok(None),
            Wants::Something(Challenge::Basic) => {
                let credentials = self.credentials(http, attempted).await;
                let credentials = credentials.map_err(|source| {
                    let attempted = Box::new(attempted.clone());
                    Error::Credentials { attempted, source }
                })?;
                if !allowed(http, origin) {
                    return Ok(None);
                }
                Ok(match credentials {
                    Some(Credentials::Basic { username, password }) => {
                        Some(Authorization::Basic { username, password })
                    }
                    Some(Credentials::IdentityToken(_)) | None => None,
                })
            }
            Wants::Something(Challenge::Bearer { realm, service }) => {
                let slot = self.slot(scopes);
                let mut token = slot.lock().await;
                if let Some(token) = token.as_ref().filter(|token| token.expires > Instant::now()) {
                    return Ok(Some(Authorization::Bearer(token.text.clone())));
                }
                let asked = TokenRequest { realm: &realm, service: service.as_deref(), scopes };
                let new = self.fetch(http, origin, &asked, attempted).await?;
                let text = new.text.clone();
                *token = Some(new);
                Ok(Some(Authorization::Bearer(text)))
            }
        }
    }

    async fn credentials(
        &self,
        http: &Http,
        attempted: &Attempted,
    ) -> Result<Option<Credentials>, Arc<CredentialError>> {
        let ask = || async {
            let source = Arc::clone(&http.settings.credentials);
            let name = self.name(http, attempted);
            // A helper program may run.
            let found = tokio::task::spawn_blocking(move || source.credentials(&name)).await;
            found.expect("a credential source does not panic").map_err(Arc::new)
        };
        let known = self.known(http, attempted);
        let credentials = known.get_or_init(ask).await.clone()?;
        if let Some(credentials) = &credentials {
            self.has_credentials.store(true, Ordering::SeqCst);
            http.hide(|redactor| redactor.add_credentials(credentials));
        }
        Ok(credentials)
    }

    /// Asks the token server.
    async fn fetch(
        &self,
        http: &Http,
        origin: &Url,
        asked: &TokenRequest<'_>,
        attempted: &Attempted,
    ) -> Result<Token, AttemptError> {
        let realm = Url::parse(asked.realm).ok();
        let plain_origin = origin.scheme() == "http";
        let realm = realm
            .filter(|url| url.scheme() == "https" || url.scheme() == "http" && plain_origin)
            .ok_or_else(|| answer(attempted, "its token server has no usable URL"))?;
        // Many registries give a token to whoever asks: credentials that cannot be read are no
        // matter before it turns out that they are needed.
        let credentials = self.credentials(http, attempted).await.unwrap_or_default();
        let credentials = credentials.filter(|_| allowed(http, &realm) && allowed(http, origin));
        let (request, authorization) = asked.request(realm, credentials.as_ref());
        let header = authorization.and_then(|authorization| authorization.header());
        let asked_at = Instant::now();
        let response = http.execute(&request, header.as_ref(), attempted).await?;
        if !response.status().is_success() {
            let mut error = response.refusal(attempted, http.redactor()).await;
            if let Error::Refused { message, .. } | Error::NotFound { message, .. } = error {
                // Token servers say 400 and 404 where they mean "no".
                let attempted = Box::new(attempted.clone());
                let (denial, withheld) = (Denial::Required, false);
                error = Error::Unauthorized { attempted, message, denial, withheld };
            }
            if let Error::Unauthorized { denial, .. } = &mut error {
                *denial = self.denial(*denial, self.withholds(http, origin));
                error = self.lacks(http, attempted).unwrap_or(error);
            }
            return Err(error.into());
        }
        let stall = http.settings.timeouts.stall;
        let body = read(response.response, TOKEN_LIMIT, stall, attempted).await?;
        let unusable = || answer(attempted, "its token server sent no token");
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| unusable())?;
        let texts = [answer.token, answer.access_token].into_iter().flatten();
        let text = texts.into_iter().find(|text| !text.is_empty()).ok_or_else(unusable)?;
        http.hide(|redactor| redactor.add(&text));
        let life = answer.expires_in.as_ref().map_or(TOKEN_LIFE, lifetime);
        // Renewed a little early, so that it does not expire on its way.
        let life =
            Duration::from_secs(life).saturating_sub(Duration::from_secs((life / 4).min(10)));
        Ok(Token { text: Secret::new(text), expires: asked_at + life })
    }
}

fn allowed(http: &Http, url: &Url) -> bool {
    let authority = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    http.settings.may_send_credentials(url.scheme(), &authority)
}

/// A token server's answer. When it was issued by the server's clock is not read: the time that
/// passes here is what counts.
#[derive(serde::Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    /// Seconds.
    expires_in: Option<serde_json::Value>,
}

/// How many seconds a token is used that says to be valid for `seconds`: never less than the
/// specification's minimum, for servers that say 0, less than that, or something else.
fn lifetime(seconds: &serde_json::Value) -> u64 {
    let whole = seconds.as_u64().or_else(|| seconds.as_str()?.trim().parse().ok());
    whole.unwrap_or(TOKEN_LIFE).clamp(TOKEN_LIFE, 24 * 3600)
}

/// A token that is asked for.
struct TokenRequest<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scopes: &'a [String],
}

impl TokenRequest<'_> {
    /// The request: GET with a name and password or without, POST with an identity token (the
    /// distribution project's token and `OAuth2` specifications).
    fn request(
        &self,
        mut realm: Url,
        credentials: Option<&Credentials>,
    ) -> (Request<'static>, Option<Authorization>) {
        let mut pairs = Vec::new();
        pairs.extend(self.service.map(|service| ("service", service)));
        match credentials {
            Some(Credentials::IdentityToken(token)) => {
                let scopes = self.scopes.join(" ");
                pairs.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "esb"),
                    ("scope", scopes.as_str()),
                    ("refresh_token", token.reveal().as_str()),
                ]);
                // The one form encoder at hand is that of queries.
                let mut form = realm.clone();
                form.query_pairs_mut().clear().extend_pairs(pairs);
                let body = form.query().unwrap_or_default().to_owned();
                let mut request = Request::new(Method::POST, realm);
                request.content_type = Some("application/x-www-form-urlencoded");
                request.body = Payload::Bytes(body.into());
                request.is_confined = true;
                (request, None)
            }
            basic => {
                pairs.extend(self.scopes.iter().map(|scope| ("scope", scope.as_str())));
                let authorization = match basic {
                    Some(Credentials::Basic { username, password }) => {
                        pairs.push(("account", username));
                        Some(Authorization::Basic {
                            username: username.clone(),
                            password: password.clone(),
                        })
                    }
                    _ => None,
                };
                realm.query_pairs_mut().extend_pairs(pairs);
                let mut request = Request::new(Method::GET, realm);
                request.is_confined = true;
                (request, authorization)
            }
        }
    }
}
