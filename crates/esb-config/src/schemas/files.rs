//! Shapes that no type of the program has: items that it passes on as they are.
#![expect(dead_code, reason = "only their schemas are used")]
#![expect(clippy::struct_field_names, reason = "the names are AWS's")]

use schemars::JsonSchema;
use serde_json::Value;

/// A schedule: both kinds stand under `rate`, in UTC.
pub(crate) const SCHEDULE: &str = r"^(rate\([1-9][0-9]* (minute|hour|day)s?\)|cron\(([A-Za-z0-9*?,/#-]+ ){5}[A-Za-z0-9*?,/#-]+\))$";

/// A path as a Python regular expression, in which `{name}` is one segment.
pub(crate) const PATH: &str = r"^/([^{\\]|\\.|\{[A-Za-z_][A-Za-z0-9_]*\})*$";

/// The methods: `ANY` would fit nothing, and the Gateway answers OPTIONS itself.
pub(crate) const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"];

/// A reference with a tag and without a digest: scripts run `docker tag` with it.
pub(crate) const TAGGED: &str = r"^[^@\s]+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$";

pub(crate) const DIGEST: &str = "^sha256:[0-9a-f]{64}$";

/// What a text of one line is not: Python's `$` also stands before a line feed at the end.
pub(crate) fn several_lines() -> Value {
    serde_json::json!({"pattern": "\\n"})
}

/// What the Provisioner creates. It does not interpolate, and only creates: what exists stays as it is.
#[derive(JsonSchema)]
pub(super) struct ResourcesFile {
    resources: Resources,
}

#[derive(JsonSchema)]
struct Resources {
    /// Tables.
    dynamodb: Option<Vec<Table>>,
    /// Buckets.
    s3: Option<Vec<Bucket>>,
    /// Layers; nobody reads them.
    layers: Option<Vec<Layer>>,
}

/// The arguments of `create_table` of boto3; the Provisioner ends at one that does not exist.
#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase", deny_unknown_fields)]
struct Table {
    #[schemars(length(min = 1))]
    table_name: String,
    #[schemars(length(min = 1, max = 2))]
    key_schema: Vec<Key>,
    #[schemars(length(min = 1))]
    attribute_definitions: Vec<Attribute>,
    global_secondary_indexes: Option<Vec<GlobalIndex>>,
    billing_mode: Option<BillingMode>,
    provisioned_throughput: Option<Throughput>,
    // Those that `esb` does not write.
    local_secondary_indexes: Option<Value>,
    stream_specification: Option<Value>,
    #[schemars(rename = "SSESpecification")]
    sse_specification: Option<Value>,
    tags: Option<Value>,
    table_class: Option<Value>,
    deletion_protection_enabled: Option<Value>,
    warm_throughput: Option<Value>,
    resource_policy: Option<Value>,
    on_demand_throughput: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase", deny_unknown_fields)]
struct Key {
    attribute_name: String,
    key_type: KeyType,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
enum KeyType {
    Hash,
    Range,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    attribute_name: String,
    attribute_type: AttributeType,
}

#[derive(JsonSchema)]
enum AttributeType {
    S,
    N,
    B,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase", deny_unknown_fields)]
struct GlobalIndex {
    index_name: String,
    #[schemars(length(min = 1, max = 2))]
    key_schema: Vec<Key>,
    projection: Projection,
    provisioned_throughput: Option<Throughput>,
    on_demand_throughput: Option<Value>,
    warm_throughput: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase", deny_unknown_fields)]
struct Projection {
    projection_type: ProjectionType,
    non_key_attributes: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
enum ProjectionType {
    All,
    KeysOnly,
    Include,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
enum BillingMode {
    Provisioned,
    PayPerRequest,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase", deny_unknown_fields)]
struct Throughput {
    #[schemars(range(min = 1))]
    read_capacity_units: i64,
    #[schemars(range(min = 1))]
    write_capacity_units: i64,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase")]
struct Bucket {
    #[schemars(length(min = 1))]
    bucket_name: String,
    lifecycle_configuration: Option<Lifecycle>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase")]
struct Lifecycle {
    rules: Vec<Rule>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase")]
struct Rule {
    id: Option<String>,
    /// `Enabled` where it is absent.
    status: Option<RuleStatus>,
    /// Empty where it is absent.
    prefix: Option<String>,
    #[schemars(range(min = 1))]
    expiration_in_days: i64,
}

#[derive(JsonSchema)]
enum RuleStatus {
    Enabled,
    Disabled,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase")]
struct Layer {
    name: String,
    #[schemars(rename = "ContentURI")]
    content_uri: Option<String>,
    compatible_architectures: Option<Vec<String>>,
}

/// The function of a route.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Target {
    /// Its name.
    Name(String),
    /// As old files have it.
    Container { container: String },
}
