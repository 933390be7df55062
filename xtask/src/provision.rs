//! Checks what the platform's Provisioner creates from resources.yml, with boto3 against emulated
//! services.
//!
//! Owns a template with every property of tables and buckets that we pass on, and what has to exist
//! afterwards.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::{Value, json};

use crate::{
    checks::{Outcome, Trouble},
    command::{command, of_workspace, output, target},
    folders, hooks,
    tools::Moto,
};

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Simple:
    Type: AWS::Serverless::SimpleTable
    Properties:
      PrimaryKey: {Name: pk, Type: Number}
      ProvisionedThroughput: {ReadCapacityUnits: 3, WriteCapacityUnits: '4'}
  Bare:
    Type: AWS::Serverless::SimpleTable
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub orders-${Stage}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: id, AttributeType: S}
        - {AttributeName: at, AttributeType: N}
        - {AttributeName: who, AttributeType: S}
      KeySchema:
        - {AttributeName: id, KeyType: HASH}
        - {AttributeName: at, KeyType: RANGE}
      GlobalSecondaryIndexes:
        - IndexName: by-who
          KeySchema:
            - {AttributeName: who, KeyType: HASH}
            - {AttributeName: at, KeyType: RANGE}
          Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [total]}
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: gone, Enabled: true}
      Tags: [{Key: a, Value: b}]
  Counted:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions:
        - {AttributeName: id, AttributeType: B}
        - {AttributeName: kind, AttributeType: S}
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      ProvisionedThroughput: {ReadCapacityUnits: '5', WriteCapacityUnits: 6}
      GlobalSecondaryIndexes:
        - IndexName: by-kind
          KeySchema: [{AttributeName: kind, KeyType: HASH}]
          Projection: {ProjectionType: ALL}
          ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: '2'}
  Receipts:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub receipts-${Stage}
      LifecycleConfiguration:
        Rules:
          - {Id: old, Status: Enabled, Prefix: tmp/, ExpirationInDays: '7'}
          - {Id: never, Status: Disabled, ExpirationInDays: 30}
  PlainFiles:
    Type: AWS::S3::Bucket
";

/// Every item is handed to boto3, and the services then have what the template says.
pub(crate) fn check() -> Outcome {
    let folder = target().join("provision");
    folders::empty(&folder)?;
    let template = folder.join("template.yaml");
    fs::write(&template, TEMPLATE)?;
    let example = of_workspace("example", "config_files")?;
    let document = output(command(example).arg(&template))?;
    let document: Value = serde_json::from_str(&document).map_err(|error| error.to_string())?;
    let file = document["files"]["resources.yml"].as_str().ok_or("no resources.yml")?;

    let python = hooks::newest()?;
    let moto = Moto::start(&python, &folder)?;
    let mut provision = command(python);
    provision.arg("xtask/tools/provision.py").arg(format!("http://{}", moto.address()));
    provision.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = provision.spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(file.as_bytes())?;
    let said = child.wait_with_output()?;
    let told: Value = serde_json::from_slice(&said.stdout).map_err(|_| {
        Trouble::Failed(format!("{file}\n{}", String::from_utf8_lossy(&said.stderr)))
    })?;
    let expected = expected();
    if told == expected {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{file}\nbecame\n{told:#}\ninstead of\n{expected:#}")))
}

fn expected() -> Value {
    let table =
        |name: &str, keys: Value, kinds: Value, mode: &str, capacity: Value, indexes: Value| {
            json!({
                "TableName": name,
                "KeySchema": keys,
                "AttributeDefinitions": kinds,
                "BillingMode": mode,
                "Capacity": capacity,
                "Indexes": indexes,
            })
        };
    let (many, fixed) = ("PAY_PER_REQUEST", "PROVISIONED");
    json!({
        "tables": [
            table("Bare", json!(["id"]), json!(["idS"]), many, json!([0, 0]), json!([])),
            table("Counted", json!(["id"]), json!(["idB", "kindS"]), fixed, json!([5, 6]),
                json!([["by-kind", ["kind"], "ALL"]])),
            table("Simple", json!(["pk"]), json!(["pkN"]), fixed, json!([3, 4]), json!([])),
            table("orders-dev", json!(["id", "at"]), json!(["atN", "idS", "whoS"]), many,
                json!([0, 0]), json!([["by-who", ["who", "at"], "INCLUDE"]])),
        ],
        "buckets": [
            {"Bucket": "plainfiles"},
            {"Bucket": "receipts-dev", "Rules": [
                ["old", "Enabled", "tmp/", 7],
                ["never", "Disabled", "", 30],
            ]},
        ],
    })
}
