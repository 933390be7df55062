//! Flags of the commands that run a function and read what it wrote.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::TemplateArgs;

/// Which function is invoked, and with which event.
#[derive(Debug, Clone, Args)]
pub(crate) struct InvokeArgs {
    /// The function, by name or logical id
    pub(crate) function: String,
    /// Event: a file, `-` for stdin, or JSON such as '{"key": "value"}' [default: {}]
    #[arg(long, value_name = "FILE|JSON|-")]
    pub(crate) event: Option<OsString>,
    /// Seconds to wait for the response [default: the function's timeout, and 10 more]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<u64>,
    /// Show only the last N lines of the function's log
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<usize>,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
}

/// Which log records are read.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    /// The function, by name or logical id
    #[arg(required_unless_present_any = ["trace", "request"])]
    pub(crate) function: Option<String>,
    /// Only records of one trace, by the id in `X-Amzn-Trace-Id`
    #[arg(long, value_name = "ID")]
    pub(crate) trace: Option<String>,
    /// Only records of one invocation, by its request id
    #[arg(long, value_name = "ID")]
    pub(crate) request: Option<String>,
    /// How far back: 30s, 10m, 2h, 7d, or a time such as 2026-01-31T09:00:00Z [default: 1h; all
    /// with --trace or --request]
    #[arg(long, value_name = "TIME", value_parser = crate::commands::logs::since)]
    pub(crate) since: Option<esb_deploy::logs::Since>,
    /// Show only the last N records
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) tail: u32,
    /// Show new records as they arrive, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Template that gives a logical id its function's name [default: the one in this folder]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) template: Option<PathBuf>,
    /// Compose project whose log store is read [default: brand and environment, as in esb-dev]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// Address of VictoriaLogs [default: VICTORIALOGS_URL, then the project's container]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}
