//! Tables and buckets that the platform provisions (docs/contracts/platform.md#resourcesyml).

use crate::{Span, TemplateId};

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub template: TemplateId,
    pub logical_id: String,
    pub span: Span,
    /// The physical name: what `Ref` gives and what is created.
    pub name: String,
    pub keys: Vec<Key>,
    pub attributes: Vec<Attribute>,
    pub indexes: Vec<GlobalIndex>,
    /// `PAY_PER_REQUEST` instead of `PROVISIONED`.
    pub on_demand: bool,
    pub throughput: Option<Throughput>,
}

/// One attribute of a key schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub attribute: String,
    pub kind: KeyType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    Hash,
    Range,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub kind: AttributeType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    String,
    Number,
    Binary,
}

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalIndex {
    pub name: String,
    pub keys: Vec<Key>,
    pub projection: Projection,
    pub throughput: Option<Throughput>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    All,
    KeysOnly,
    Include(Vec<String>),
}

/// Units a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throughput {
    pub read: u64,
    pub write: u64,
}

/// An S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub template: TemplateId,
    pub logical_id: String,
    pub span: Span,
    /// The physical name: what `Ref` gives and what is created.
    pub name: String,
    pub lifecycle: Vec<LifecycleRule>,
}

/// One expiration rule of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    pub id: Option<String>,
    pub enabled: bool,
    pub prefix: String,
    /// Days after which objects expire.
    pub expiration_days: Option<u32>,
}
