//! The properties that resources know, so that a misspelt one is not ignored in silence.

use super::Resource;
use crate::{codes, evaluator::Evaluator, findings::quote, suggest};

const SERVERLESS_FUNCTION: &[&str] = &[
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "CapacityProviderConfig",
    "CodeSigningConfigArn",
    "CodeUri",
    "DeadLetterQueue",
    "DeploymentPreference",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "EventInvokeConfig",
    "Events",
    "FileSystemConfigs",
    "FunctionName",
    "FunctionScalingConfig",
    "FunctionUrlConfig",
    "Handler",
    "ImageConfig",
    "ImageUri",
    "InlineCode",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "PermissionsBoundary",
    "Policies",
    "PropagateTags",
    "ProvisionedConcurrencyConfig",
    "PublishToLatestPublished",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Role",
    "RolePath",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "SourceKMSKeyArn",
    "Tags",
    "TenancyConfig",
    "Timeout",
    "Tracing",
    "VersionDeletionPolicy",
    "VersionDescription",
    "VpcConfig",
];

const LAMBDA_FUNCTION: &[&str] = &[
    "Architectures",
    "CapacityProviderConfig",
    "Code",
    "CodeSigningConfigArn",
    "DeadLetterConfig",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "FunctionName",
    "FunctionScalingConfig",
    "Handler",
    "ImageConfig",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "PublishToLatestPublished",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Role",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "Tags",
    "TenancyConfig",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
];

const SERVERLESS_LAYER: &[&str] = &[
    "CompatibleArchitectures",
    "CompatibleRuntimes",
    "ContentUri",
    "Description",
    "LayerName",
    "LicenseInfo",
    "PublishLambdaVersion",
    "RetentionPolicy",
];

const SIMPLE_TABLE: &[&str] = &[
    "PointInTimeRecoverySpecification",
    "PrimaryKey",
    "ProvisionedThroughput",
    "SSESpecification",
    "TableName",
    "Tags",
];

/// Warns about properties that the resource's type does not have.
pub(super) fn check(this: &mut Evaluator<'_, '_>, resource: &Resource) {
    let known = match &*resource.kind {
        "AWS::Serverless::Function" => SERVERLESS_FUNCTION,
        "AWS::Lambda::Function" => LAMBDA_FUNCTION,
        "AWS::Serverless::LayerVersion" => SERVERLESS_LAYER,
        "AWS::Serverless::SimpleTable" => SIMPLE_TABLE,
        _ => return,
    };
    for entry in resource.properties.entries().unwrap_or_default() {
        if !known.contains(&&*entry.key) && !entry.key.starts_with("Fn::") {
            let message = format!("{} has no property {}", resource.kind, quote(&entry.key));
            let help = suggest::help(&entry.key, known.iter().copied());
            this.warning_with_help(codes::UNKNOWN_PROPERTY, entry.place.span(), message, help);
        }
    }
}
