//! The values of pseudo parameters such as `AWS::Region`.

use std::rc::Rc;

use crate::{
    Options,
    value::{Unknown, Value},
};

/// The values of the pseudo parameters.
#[derive(Debug, Clone)]
pub(crate) struct Pseudo {
    pub(crate) region: Rc<str>,
    pub(crate) account: Rc<str>,
    pub(crate) stack: Rc<str>,
    pub(crate) partition: &'static str,
}

impl Pseudo {
    pub(crate) fn new(options: &Options) -> Self {
        let partition = match &*options.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Self {
            region: (*options.region).into(),
            account: (*options.account_id).into(),
            stack: (*options.stack_name).into(),
            partition,
        }
    }

    /// The value of a name that starts with `AWS::`; `None` when there is no such parameter.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        Some(match name {
            "AWS::Region" => Value::text(self.region.clone()),
            "AWS::AccountId" => Value::text(self.account.clone()),
            "AWS::StackName" => Value::text(self.stack.clone()),
            "AWS::Partition" => Value::text(self.partition),
            "AWS::URLSuffix" => Value::text(self.url_suffix()),
            "AWS::StackId" => Value::text(self.arn(
                "cloudformation",
                &format!("stack/{}/00000000-0000-0000-0000-000000000000", self.stack),
            )),
            "AWS::NotificationARNs" => Value::list(Vec::new()),
            "AWS::NoValue" => Value::Absent,
            _ => return None,
        })
    }

    pub(crate) fn url_suffix(&self) -> &'static str {
        if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    /// The ARN of something in this account and region.
    pub(crate) fn arn(&self, service: &str, rest: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{rest}")
    }

    /// What a reference to an unknown pseudo parameter gives.
    pub(crate) fn unknown(name: &str) -> Value {
        Value::Unknown(Unknown::new(format!("!Ref {name}")))
    }
}

/// All names, for suggestions.
pub(crate) const NAMES: &[&str] = &[
    "AWS::Region",
    "AWS::AccountId",
    "AWS::StackName",
    "AWS::Partition",
    "AWS::URLSuffix",
    "AWS::StackId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
];
