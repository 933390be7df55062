//! The codes of all findings that reading a template can give.
//!
//! [`CODES`] is the table from which the reference page is generated.

esb_model::finding_codes! {
    /// The text is not one YAML or JSON document.
    SYNTAX = "esb::sam::syntax", fixed;
    /// The template asks for more work than any real one needs.
    LIMIT = "esb::sam::limit", fixed;
    /// A mapping has the same key twice; the last one counts.
    DUPLICATE_KEY = "esb::sam::duplicate-key";
    /// Anchors, aliases, merge keys and special tags are YAML, but CloudFormation refuses them.
    YAML_EXTENSION = "esb::sam::yaml-extension";
    /// A plain scalar means another number or word than its text shows (YAML 1.1).
    NUMBER_READING = "esb::sam::number-reading";
    /// The template has no map of resources.
    NO_RESOURCES = "esb::sam::no-resources", fixed;
    /// Nothing of the templates becomes a part of the application.
    EMPTY_APPLICATION = "esb::sam::empty-application";
    /// A value has another shape than its place needs.
    WRONG_TYPE = "esb::sam::wrong-type", fixed;
    /// A top-level section is not one of CloudFormation's.
    UNKNOWN_SECTION = "esb::sam::unknown-section";
    /// The template's macros are unknown, or the SAM transform is missing.
    TRANSFORM = "esb::sam::transform";
    /// A comment allows a finding that does not exist.
    UNKNOWN_CODE = "esb::sam::unknown-code";
    /// A value was given for a parameter that the template does not declare.
    UNKNOWN_PARAMETER = "esb::sam::unknown-parameter";
    /// A parameter has neither a default nor a given value.
    MISSING_PARAMETER = "esb::sam::missing-parameter", fixed;
    /// A parameter's value breaks the constraints that the template declares, or its type does not
    /// exist.
    PARAMETER_CONSTRAINT = "esb::sam::parameter-constraint";
    /// Conditions refer to each other in a circle.
    CONDITION_CYCLE = "esb::sam::condition-cycle", fixed;
    /// A condition is used that the template does not define.
    UNKNOWN_CONDITION = "esb::sam::unknown-condition", fixed;
    /// A condition cannot be decided without AWS; its resources are kept.
    UNDECIDED_CONDITION = "esb::sam::undecided-condition";
    /// A reference names nothing that the template has.
    UNRESOLVED_REF = "esb::sam::unresolved-ref";
    /// A value cannot be known without AWS and stays symbolic.
    UNRESOLVED_VALUE = "esb::sam::unresolved-value";
    /// A mapping has no such entry.
    MAPPING_KEY = "esb::sam::mapping-key";
    /// An intrinsic function is used in a way that it does not allow.
    INTRINSIC = "esb::sam::intrinsic", fixed;
    /// There is no such intrinsic function.
    UNKNOWN_INTRINSIC = "esb::sam::unknown-intrinsic";
    /// The names of resources depend on each other in a circle.
    REFERENCE_CYCLE = "esb::sam::reference-cycle", fixed;
    /// A section or property of Globals has no effect.
    GLOBALS = "esb::sam::globals";
    /// A loop of `AWS::LanguageExtensions` cannot be expanded.
    FOR_EACH = "esb::sam::for-each", fixed;
    /// An included file cannot be loaded.
    INCLUDE = "esb::sam::include";
    /// A nested application is not read.
    NESTED = "esb::sam::nested-application", fixed;
    /// A resource must be a map with a `Type`.
    RESOURCE_SHAPE = "esb::sam::resource-shape", fixed;
    /// There is no such resource type.
    UNKNOWN_TYPE = "esb::sam::unknown-resource-type";
    /// A resource has a property that its type does not know.
    UNKNOWN_PROPERTY = "esb::sam::unknown-property";
    /// Lambda has no such runtime.
    UNKNOWN_RUNTIME = "esb::sam::unknown-runtime", fixed;
    /// A runtime is one that AWS no longer supports.
    ENDED_RUNTIME = "esb::sam::ended-runtime";
    /// A property that the resource needs is missing.
    MISSING_PROPERTY = "esb::sam::missing-property", fixed;
    /// The package type and the properties of a function contradict each other.
    PACKAGE = "esb::sam::package", fixed;
    /// An image function names neither an image nor a Dockerfile.
    IMAGE_SOURCE = "esb::sam::image-source", fixed;
    /// The code is in S3 and cannot be built here.
    CODE_NOT_LOCAL = "esb::sam::code-not-local";
    /// A layer cannot be used.
    LAYER = "esb::sam::layer";
    /// An event is not complete or not of a known type.
    EVENT = "esb::sam::event";
    /// A route has a path or a method that no API has.
    ROUTE = "esb::sam::route";
    /// AWS does not accept a schedule expression, or the platform cannot run it.
    SCHEDULE = "esb::sam::schedule";
    /// Two events claim the same path and method of one API.
    ROUTE_CONFLICT = "esb::sam::route-conflict";
    /// AWS does not accept a name.
    NAME = "esb::sam::name", fixed;
    /// A table's schema is not complete, or contradicts itself.
    TABLE = "esb::sam::table", fixed;
    /// The platform does not serve this kind of event.
    PLATFORM_TRIGGER = "esb::platform::trigger";
    /// The platform's scheduler cannot do what the schedule asks.
    PLATFORM_SCHEDULE = "esb::platform::schedule";
    /// Every route of the platform asks for a token.
    PLATFORM_AUTHORIZATION = "esb::platform::authorization";
    /// The platform never sends payload format 2.0 of HTTP APIs.
    PLATFORM_PAYLOAD = "esb::platform::payload";
    /// The platform ends API calls earlier than the function's timeout.
    PLATFORM_TIMEOUT = "esb::platform::timeout";
    /// The platform runs one call of a function at a time by default.
    PLATFORM_CONCURRENCY = "esb::platform::concurrency";
    /// The platform sets no memory limit in docker mode.
    PLATFORM_MEMORY = "esb::platform::memory";
    /// The platform overrides this environment variable.
    PLATFORM_ENVIRONMENT = "esb::platform::environment";
}
