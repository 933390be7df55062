//! Physical names: what `Ref` and `Fn::GetAtt` of a resource give
//! (docs/contracts/sam.md#names-of-resources).
//!
//! Functions, tables and buckets have the names under which the platform creates them; other
//! resources have the shape that CloudFormation gives, where it follows from a name.

use std::{collections::HashMap, rc::Rc};

use esb_model::Span;

use super::{Resource, name_rules};
use crate::{codes, evaluator::Evaluator, findings, words::Property, yaml::Node};

/// Names so far.
pub(crate) type NameStates = HashMap<Rc<str>, NameState>;

/// How far the computing of a resource's name is.
#[derive(Debug, Clone)]
pub(crate) enum NameState {
    Open,
    /// `None` when only AWS knows the name.
    Done(Option<Rc<str>>),
}

/// A name that SAM's transform makes.
#[derive(Debug)]
pub(crate) enum Generated {
    /// There is no such name.
    No,
    /// Only AWS knows what it gives.
    Unknown,
    Known(Rc<str>),
}

/// Whether SAM makes something for a resource whose name ends like this.
fn is_made(resource: &Resource, rest: &str) -> bool {
    const OF_FUNCTIONS: &[&str] = &[
        ".Alias",
        ".DestinationQueue",
        ".DestinationTopic",
        ".Version",
        "Alias",
        "Cognito",
        "DeploymentGroup",
        "EventInvokeConfig",
        "Role",
        "URL",
        "Url",
        "Version",
    ];
    let starts_with_entry = |entries: Option<&Rc<Node>>| {
        let entries = entries.and_then(|node| node.entries()).unwrap_or_default();
        entries.iter().any(|entry| rest.starts_with(&*entry.key))
    };
    let of_connectors = || starts_with_entry(resource.body.get("Connectors"));
    match &*resource.kind {
        "AWS::Serverless::Function" => {
            OF_FUNCTIONS.iter().any(|made| rest.starts_with(made))
                || starts_with_entry(resource.property("Events"))
                || of_connectors()
        }
        "AWS::Serverless::Application"
        | "AWS::Serverless::LayerVersion"
        | "AWS::Serverless::SimpleTable" => of_connectors(),
        kind if kind.starts_with("AWS::Serverless::") => {
            rest.starts_with(|c: char| c == '.' || c.is_ascii_uppercase())
        }
        _ => of_connectors(),
    }
}

/// The property that holds a resource's name, for kinds whose name shows in references.
fn name_property(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "AWS::Serverless::Function" | "AWS::Lambda::Function" => "FunctionName",
        "AWS::Serverless::SimpleTable" | "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => {
            "TableName"
        }
        "AWS::S3::Bucket" => "BucketName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::StepFunctions::StateMachine" => "StateMachineName",
        "AWS::Events::EventBus"
        | "AWS::Serverless::StateMachine"
        | "AWS::Kinesis::Stream"
        | "AWS::SSM::Parameter"
        | "AWS::Events::Rule"
        | "AWS::Scheduler::Schedule"
        | "AWS::Scheduler::ScheduleGroup" => "Name",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::IAM::Role" => "RoleName",
        "AWS::ECR::Repository" => "RepositoryName",
        "AWS::Serverless::LayerVersion" | "AWS::Lambda::LayerVersion" => "LayerName",
        "AWS::KinesisFirehose::DeliveryStream" => "DeliveryStreamName",
        _ => return None,
    })
}

impl Evaluator<'_, '_> {
    /// The name that a property of a resource gives it; `None` when it gives none.
    pub(crate) fn given_name(&mut self, resource: &Resource) -> Option<Rc<str>> {
        let property = name_property(&resource.kind)?;
        let node = resource.property(property)?.clone();
        match self.names.get(&resource.id) {
            Some(NameState::Done(name)) => return name.clone(),
            Some(NameState::Open) => {
                let circle = findings::circle(&self.open_names, &resource.id);
                let message = format!("the names of resources depend on each other: {circle}");
                self.error(codes::REFERENCE_CYCLE, resource.span(), message);
                return None;
            }
            None => {}
        }
        self.names.insert(resource.id.clone(), NameState::Open);
        self.open_names.push(resource.id.clone());
        let name = self.evaluated_name(resource, property, &node);
        self.open_names.pop();
        self.names.insert(resource.id.clone(), NameState::Done(name.clone()));
        name
    }

    fn evaluated_name(
        &mut self,
        resource: &Resource,
        property: &str,
        node: &Rc<Node>,
    ) -> Option<Rc<str>> {
        let what = Property { name: property, id: &resource.id };
        let text = self.known(node, &what)?;
        if text.text.is_empty() {
            return None;
        }
        if let Some(rule) = name_rules::broken(&resource.kind, &text.text) {
            let message = format!("{what} is {}: {rule}", findings::quote(text.shown()));
            // Stores that take S3's protocol differ in what they accept.
            if &*resource.kind == "AWS::S3::Bucket" {
                self.warn(codes::NAME, node.span(), message);
            } else {
                self.error(codes::NAME, node.span(), message);
            }
        }
        Some(text.text)
    }

    /// The name under which a resource exists here.
    pub(crate) fn physical_name(&mut self, resource: &Resource) -> Rc<str> {
        if let Some(name) = self.given_name(resource) {
            return name;
        }
        let prefix = &self.name_prefix;
        match &*resource.kind {
            "AWS::S3::Bucket" => format!("{prefix}{}", resource.id).to_lowercase().into(),
            _ if prefix.is_empty() => resource.id.clone(),
            _ => format!("{prefix}{}", resource.id).into(),
        }
    }

    /// What `Ref` gives; `None` when only AWS knows.
    pub(crate) fn reference_of(&mut self, resource: &Resource) -> Option<Rc<str>> {
        let kind = &*resource.kind;
        let property = name_property(kind)?;
        match kind {
            "AWS::SQS::Queue" => self.attribute_of(resource, "QueueUrl"),
            "AWS::SNS::Topic"
            | "AWS::StepFunctions::StateMachine"
            | "AWS::Serverless::StateMachine" => self.attribute_of(resource, "Arn"),
            "AWS::Serverless::LayerVersion" | "AWS::Lambda::LayerVersion" => {
                let name = self.physical_name(resource);
                Some(self.pseudo.arn("lambda", &format!("layer:{name}:1")).into())
            }
            "AWS::Serverless::Function"
            | "AWS::Lambda::Function"
            | "AWS::Serverless::SimpleTable"
            | "AWS::DynamoDB::Table"
            | "AWS::DynamoDB::GlobalTable"
            | "AWS::S3::Bucket" => Some(self.physical_name(resource)),
            // AWS generates these names unless one is given.
            _ if resource.property(property).is_some() => self.given_name(resource),
            _ => Some(self.physical_name(resource)),
        }
    }

    /// Whether a resource's name depends on a parameter that has no value.
    pub(crate) fn name_is_unset(&self, resource: &Resource) -> bool {
        let property = name_property(&resource.kind).and_then(|name| resource.property(name));
        property.is_some_and(|node| self.run.findings.is_unset(node.span()))
    }

    /// What `Fn::GetAtt` gives; `None` when only AWS knows.
    pub(crate) fn attribute_of(&mut self, resource: &Resource, attribute: &str) -> Option<Rc<str>> {
        let kind = &*resource.kind;
        name_property(kind)?;
        let name = self.physical_name(resource);
        let pseudo = &self.pseudo;
        let (region, account) = (&pseudo.region, &pseudo.account);
        let text = match (kind, attribute) {
            ("AWS::Serverless::Function" | "AWS::Lambda::Function", "Arn") => {
                pseudo.arn("lambda", &format!("function:{name}"))
            }
            (
                "AWS::Serverless::SimpleTable"
                | "AWS::DynamoDB::Table"
                | "AWS::DynamoDB::GlobalTable",
                "Arn",
            ) => pseudo.arn("dynamodb", &format!("table/{name}")),
            ("AWS::S3::Bucket", "Arn") => format!("arn:{}:s3:::{name}", pseudo.partition),
            ("AWS::S3::Bucket", "DomainName") => format!("{name}.s3.{}", pseudo.url_suffix()),
            ("AWS::S3::Bucket", "RegionalDomainName") => {
                format!("{name}.s3.{region}.{}", pseudo.url_suffix())
            }
            ("AWS::SQS::Queue", "Arn") => pseudo.arn("sqs", &name),
            ("AWS::SQS::Queue", "QueueName") | ("AWS::SNS::Topic", "TopicName") => {
                return Some(name);
            }
            (
                "AWS::Events::EventBus"
                | "AWS::StepFunctions::StateMachine"
                | "AWS::Serverless::StateMachine",
                "Name",
            ) => return Some(name),
            ("AWS::SQS::Queue", "QueueUrl") => {
                format!("https://sqs.{region}.{}/{account}/{name}", pseudo.url_suffix())
            }
            ("AWS::SNS::Topic", "TopicArn" | "Arn") => pseudo.arn("sns", &name),
            ("AWS::StepFunctions::StateMachine" | "AWS::Serverless::StateMachine", "Arn") => {
                pseudo.arn("states", &format!("stateMachine:{name}"))
            }
            ("AWS::Events::EventBus", "Arn") => pseudo.arn("events", &format!("event-bus/{name}")),
            ("AWS::Events::Rule", "Arn") => pseudo.arn("events", &format!("rule/{name}")),
            ("AWS::Kinesis::Stream", "Arn") => pseudo.arn("kinesis", &format!("stream/{name}")),
            ("AWS::KinesisFirehose::DeliveryStream", "Arn") => {
                pseudo.arn("firehose", &format!("deliverystream/{name}"))
            }
            ("AWS::Logs::LogGroup", "Arn") => pseudo.arn("logs", &format!("log-group:{name}:*")),
            ("AWS::IAM::Role", "Arn") => {
                format!("arn:{}:iam::{account}:role/{name}", pseudo.partition)
            }
            ("AWS::ECR::Repository", "Arn") => pseudo.arn("ecr", &format!("repository/{name}")),
            _ => return None,
        };
        Some(text.into())
    }

    /// Names that SAM's transform makes: `HelloRole`, `Hello.Alias`, `ServerlessRestApi`.
    pub(crate) fn generated(
        &mut self,
        name: &str,
        attribute: Option<&str>,
        span: Span,
    ) -> Generated {
        const OURS: [&str; 11] = [
            "ApiGatewayDomainName",
            "CodeDeployServiceRole",
            "DomainNameAccessAssociation",
            "RecordSetGroup",
            "SamAutoGenerated",
            "ServerlessApiKey",
            "ServerlessDeploymentApplication",
            "ServerlessHttpApi",
            "ServerlessRestApi",
            "ServerlessUsagePlan",
            "ServerlessWebSocketApi",
        ];
        if OURS.iter().any(|ours| name.starts_with(ours)) {
            return Generated::Unknown;
        }
        if !self.run.step(name.len() / 2, span) {
            return Generated::No;
        }
        let boundaries = name.char_indices().skip(1).map(|(at, _)| at);
        let made = boundaries
            .take(256)
            .filter_map(|at| Some((self.resources.get(&name[..at])?, &name[at..])))
            .filter(|(resource, rest)| is_made(resource, rest))
            .last();
        let Some((resource, rest)) = made else { return Generated::No };
        if !resource.is_function() {
            return Generated::Unknown;
        }
        let function = self.physical_name(&resource);
        let alias = resource.property("AutoPublishAlias").and_then(|node| node.scalar()).cloned();
        let text = match (rest, attribute) {
            ("Role", None) => name.to_owned(),
            ("Role", Some("Arn")) => {
                let (partition, account) = (self.pseudo.partition, &self.pseudo.account);
                format!("arn:{partition}:iam::{account}:role/{name}")
            }
            (".Version", None) => self.pseudo.arn("lambda", &format!("function:{function}:1")),
            (".Alias", None) => {
                let alias = alias.as_deref().unwrap_or("live");
                self.pseudo.arn("lambda", &format!("function:{function}:{alias}"))
            }
            _ => return Generated::Unknown,
        };
        Generated::Known(text.into())
    }
}
