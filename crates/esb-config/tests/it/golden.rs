//! The whole text of all files, for an application that has everything.

use std::collections::BTreeSet;

use esb_config::{ConfigFile, ImportedImage, Owner, RenderSettings, render};
use esb_model::{
    Api, Application, Attribute, AttributeType, Bucket, Code, EnvValue, GlobalIndex, Key, KeyType,
    Layer, LifecycleRule, Method, Projection, Secret, Table, TemplateId, Throughput,
};

use crate::sample::{app, findings, id, images, route, schedule, span};

#[test]
fn everything() {
    let app = shop();
    let mut images = images(&app);
    let external = images.get_mut(&id("External")).unwrap();
    external.reference = "registry:5010/ghcr.io/acme/app:1".into();
    external.import = Some(ImportedImage {
        source: "ghcr.io/acme/app:1".into(),
        image_ref: "registry:5010/ghcr.io/acme/app:1".into(),
    });
    let settings = RenderSettings {
        owners: vec![Owner::new("shop", "template.yaml")],
        push_target: "127.0.0.1:5010".into(),
        secret_env: BTreeSet::from([("OrdersFunction".into(), "API_KEY".into())]),
        ..RenderSettings::default()
    };

    let rendered = render(&app, &images, &settings);
    let text = |file| rendered.config.text(file).unwrap();
    crate::schemas::check(&rendered);
    assert_eq!(text(ConfigFile::Functions), FUNCTIONS);
    assert_eq!(text(ConfigFile::Routing), ROUTING);
    assert_eq!(text(ConfigFile::Resources), RESOURCES);
    assert_eq!(text(ConfigFile::Images), IMAGES);
    assert_eq!(
        findings(&rendered),
        [
            "warning esb::platform::secret-in-config: the secret value of `DB_PASSWORD` of function \
             `orders-api` is written into functions.yml",
            "warning esb::platform::unknown-variable: the value of `STREAM` of function \
             `orders-api` is known only to AWS and stays empty: `!GetAtt Orders.StreamArn`",
            "note esb::platform::function-url: the Gateway has no URL of its own for function \
             `Nightly`",
            "warning esb::platform::lifecycle-rule: lifecycle rule 2 of bucket `uploads` is left \
             out: only expiration after days, of all objects or those with a prefix, is known",
        ]
    );
    for debug in [format!("{:?}", rendered.config), format!("{:?}", rendered.findings)] {
        assert!(!debug.contains("p\\\"") && !debug.contains("never"), "{debug}");
    }
    let side = rendered.state.to_json();
    assert!(!side.contains("p\\\"") && !side.contains("never"), "{side}");
}

/// An application with something of every kind.
fn shop() -> Application {
    let mut app = app(&["OrdersFunction", "Nightly", "External"]);
    app.region = "eu-west-1".into();
    let orders = &mut app.functions[0];
    orders.name = Some("orders-api".into());
    orders.timeout = Some(15);
    orders.memory = Some(256);
    orders.reserved_concurrency = Some(4);
    orders.provisioned_concurrency = Some(1);
    orders.environment = [
        ("PRICE_FMT".to_owned(), EnvValue::Known("${amount}".into())),
        ("DB_PASSWORD".to_owned(), EnvValue::Secret(Secret::new("p\"$w".into()))),
        ("API_KEY".to_owned(), EnvValue::Secret(Secret::new("never".into()))),
        ("STREAM".to_owned(), EnvValue::Symbolic("!GetAtt Orders.StreamArn".into())),
    ]
    .into();
    app.routes = vec![
        route("OrdersFunction", "any", "/orders/{proxy+}"),
        route("OrdersFunction", "get", "/orders/{id}"),
        route("OrdersFunction", "get", "/orders/v1.0"),
    ];
    let mut url = route("Nightly", "any", "/");
    url.api = Api::FunctionUrl;
    url.method = Method::Any;
    app.routes.push(url);
    let mut nightly = schedule("Nightly", "cron(0 3 * * ? *)");
    nightly.input = Some("{\"cost\":\"$5\"}".into());
    let mut off = schedule("Nightly", "rate(1 hour)");
    off.enabled = false;
    app.schedules = vec![schedule("Nightly", "rate(5 minutes)"), nightly, off];
    app.tables = tables();
    app.buckets.push(Bucket {
        template: TemplateId(0),
        logical_id: "Uploads".into(),
        span: span(0),
        name: "uploads".into(),
        lifecycle: vec![
            LifecycleRule {
                id: None,
                enabled: true,
                prefix: "tmp/".into(),
                expiration_days: Some(7),
            },
            LifecycleRule { id: None, enabled: true, prefix: String::new(), expiration_days: None },
        ],
    });
    app.layers.push(Layer {
        template: TemplateId(0),
        logical_id: "Common".into(),
        span: span(0),
        name: None,
        content: Code::Path { path: "layers/common/".into(), span: None },
        compatible_architectures: vec!["x86_64".into()],
        build_method: None,
    });
    app
}

/// One table with capacities, and one on demand.
fn tables() -> Vec<Table> {
    let orders = Table {
        template: TemplateId(0),
        logical_id: "Orders".into(),
        span: span(0),
        name: "orders".into(),
        keys: vec![
            Key { attribute: "id".into(), kind: KeyType::Hash },
            Key { attribute: "at".into(), kind: KeyType::Range },
        ],
        attributes: vec![
            Attribute { name: "id".into(), kind: AttributeType::String },
            Attribute { name: "at".into(), kind: AttributeType::Number },
        ],
        indexes: vec![GlobalIndex {
            name: "by-at".into(),
            keys: vec![Key { attribute: "at".into(), kind: KeyType::Hash }],
            projection: Projection::Include(vec!["total".into()]),
            throughput: None,
        }],
        on_demand: false,
        throughput: Some(Throughput { read: 5, write: 2 }),
    };
    let mut carts = orders.clone();
    carts.name = "carts".into();
    carts.indexes[0].projection = Projection::All;
    carts.on_demand = true;
    vec![orders, carts]
}

const FUNCTIONS: &str = r#""defaults":
  "environment":
    "AWS_ACCESS_KEY_ID": "${RUSTFS_ACCESS_KEY}"
    "AWS_DEFAULT_REGION": "eu-west-1"
    "AWS_REGION": "eu-west-1"
    "AWS_SECRET_ACCESS_KEY": "${RUSTFS_SECRET_KEY}"
    "GATEWAY_INTERNAL_URL": "${GATEWAY_INTERNAL_URL}"
    "LOG_LEVEL": "${LOG_LEVEL}"
  "scaling":
    "idle_timeout": 300
    "acquire_timeout": 30.0
"functions":
  "External":
    "image": "registry:5010/ghcr.io/acme/app:1"
    "timeout": 30
    "memory_size": 128
  "Nightly":
    "image": "127.0.0.1:5010/esb-nightly:latest-000000000000"
    "timeout": 30
    "memory_size": 128
    "events":
      - "schedule":
          "rate": "rate(5 minutes)"
      - "schedule":
          "rate": "cron(0 3 * * ? *)"
          "input": "{\"cost\":\"$$5\"}"
  "orders-api":
    "image": "127.0.0.1:5010/esb-orders-api:latest-000000000000"
    "timeout": 15
    "memory_size": 256
    "environment":
      "API_KEY": "${API_KEY}"
      "DB_PASSWORD": "p\"$$w"
      "PRICE_FMT": "$${amount}"
      "STREAM": ""
    "scaling":
      "max_capacity": 4
      "min_capacity": 1
"#;

const ROUTING: &str = r#""routes":
  - "path": "/orders/v1\\.0"
    "method": "GET"
    "function": "orders-api"
  - "path": "/orders/{id}"
    "method": "GET"
    "function": "orders-api"
  - "path": "/orders/(?P<proxy>.+)"
    "method": "DELETE"
    "function": "orders-api"
  - "path": "/orders/(?P<proxy>.+)"
    "method": "GET"
    "function": "orders-api"
  - "path": "/orders/(?P<proxy>.+)"
    "method": "PATCH"
    "function": "orders-api"
  - "path": "/orders/(?P<proxy>.+)"
    "method": "POST"
    "function": "orders-api"
  - "path": "/orders/(?P<proxy>.+)"
    "method": "PUT"
    "function": "orders-api"
"#;

const RESOURCES: &str = r#""resources":
  "dynamodb":
    - "TableName": "carts"
      "KeySchema":
        - "AttributeName": "id"
          "KeyType": "HASH"
        - "AttributeName": "at"
          "KeyType": "RANGE"
      "AttributeDefinitions":
        - "AttributeName": "id"
          "AttributeType": "S"
        - "AttributeName": "at"
          "AttributeType": "N"
      "GlobalSecondaryIndexes":
        - "IndexName": "by-at"
          "KeySchema":
            - "AttributeName": "at"
              "KeyType": "HASH"
          "Projection":
            "ProjectionType": "ALL"
      "BillingMode": "PAY_PER_REQUEST"
    - "TableName": "orders"
      "KeySchema":
        - "AttributeName": "id"
          "KeyType": "HASH"
        - "AttributeName": "at"
          "KeyType": "RANGE"
      "AttributeDefinitions":
        - "AttributeName": "id"
          "AttributeType": "S"
        - "AttributeName": "at"
          "AttributeType": "N"
      "GlobalSecondaryIndexes":
        - "IndexName": "by-at"
          "KeySchema":
            - "AttributeName": "at"
              "KeyType": "HASH"
          "Projection":
            "ProjectionType": "INCLUDE"
            "NonKeyAttributes":
              - "total"
          "ProvisionedThroughput":
            "ReadCapacityUnits": 5
            "WriteCapacityUnits": 2
      "BillingMode": "PROVISIONED"
      "ProvisionedThroughput":
        "ReadCapacityUnits": 5
        "WriteCapacityUnits": 2
  "s3":
    - "BucketName": "uploads"
      "LifecycleConfiguration":
        "Rules":
          - "Id": "rule-1"
            "Status": "Enabled"
            "Prefix": "tmp/"
            "ExpirationInDays": 7
  "layers":
    - "Name": "Common"
      "ContentURI": "layers/common/"
      "CompatibleArchitectures":
        - "x86_64"
"#;

const IMAGES: &str = r#"{
  "version": "1",
  "push_target": "127.0.0.1:5010",
  "images": [
    {
      "function_name": "External",
      "image_source": "ghcr.io/acme/app:1",
      "image_ref": "registry:5010/ghcr.io/acme/app:1",
      "digest": "sha256:external"
    }
  ]
}
"#;
