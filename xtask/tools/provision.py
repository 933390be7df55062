"""Creates what resources.yml names, as the platform's Provisioner does, and tells what came of it.

`provision.py ENDPOINT`, with the file on stdin: every table is the keyword arguments of
`create_table`, every bucket a name and the rules of a lifecycle. Prints one JSON document of what
the services then say that they have.
"""

import json
import sys

import boto3
import yaml

KEYS = ("TableName", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")


def client(name):
    credentials = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    return boto3.client(name, endpoint_url=sys.argv[1], **credentials)


def create_table(dynamodb, item):
    dynamodb.create_table(**item)
    table = dynamodb.describe_table(TableName=item["TableName"])["Table"]
    told = {key: table[key] for key in KEYS if key in table}
    told["BillingMode"] = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    throughput = table["ProvisionedThroughput"]
    told["Capacity"] = [throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]]
    indexes = told.pop("GlobalSecondaryIndexes", [])
    told["Indexes"] = [
        [i["IndexName"], [k["AttributeName"] for k in i["KeySchema"]], i["Projection"]["ProjectionType"]] for i in indexes
    ]
    told["KeySchema"] = [k["AttributeName"] for k in told["KeySchema"]]
    told["AttributeDefinitions"] = sorted(a["AttributeName"] + a["AttributeType"] for a in told["AttributeDefinitions"])
    return told


def create_bucket(s3, item):
    name = item["BucketName"]
    s3.create_bucket(Bucket=name)
    rules = [
        {
            "ID": rule["Id"],
            "Status": rule.get("Status", "Enabled"),
            "Filter": {"Prefix": rule.get("Prefix", "")},
            "Expiration": {"Days": rule["ExpirationInDays"]},
        }
        for rule in item.get("LifecycleConfiguration", {}).get("Rules", [])
    ]
    if not rules:
        return {"Bucket": name}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    kept = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    return {"Bucket": name, "Rules": [[r["ID"], r["Status"], r["Filter"]["Prefix"], r["Expiration"]["Days"]] for r in kept]}


def main():
    resources = yaml.safe_load(sys.stdin)["resources"]
    dynamodb, s3 = client("dynamodb"), client("s3")
    told = {
        "tables": [create_table(dynamodb, item) for item in resources.get("dynamodb", [])],
        "buckets": [create_bucket(s3, item) for item in resources.get("s3", [])],
    }
    print(json.dumps(told))


main()
