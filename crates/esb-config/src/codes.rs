//! The codes of all findings of this crate.
//!
//! A name is stable: people silence it, search for it and link to it.

esb_model::finding_codes! {
    /// containerd cannot start a container of the name that the function's workers get.
    CONTAINER_NAME = "esb::platform::container-name";
    /// Two functions have the same name; the Gateway knows one.
    DUPLICATE_FUNCTION = "esb::platform::duplicate-function", fixed;
    /// Two tables or buckets have the same physical name.
    DUPLICATE_RESOURCE = "esb::platform::duplicate-resource", fixed;
    /// Two functions want the same path and method.
    DUPLICATE_ROUTE = "esb::platform::duplicate-route", fixed;
    /// The Gateway serves no function URLs; the function is invoked by its name.
    FUNCTION_URL = "esb::platform::function-url";
    /// A function has no image and is left out of functions.yml.
    FUNCTION_WITHOUT_IMAGE = "esb::platform::function-without-image";
    /// The Gateway answers a request itself that a route is there for.
    GATEWAY_ROUTE = "esb::platform::gateway-route";
    /// A JVM does not start with the memory that containerd lets the function have.
    JVM_MEMORY = "esb::platform::jvm-memory";
    /// A bucket's lifecycle rule has something that the platform does not do.
    LIFECYCLE_RULE = "esb::platform::lifecycle-rule";
    /// A function with no concurrency never answers.
    NO_CAPACITY = "esb::platform::no-capacity";
    /// The Gateway answers OPTIONS itself; the route is left out.
    OPTIONS_ROUTE = "esb::platform::options-route";
    /// The Gateway cannot match this path.
    ROUTE_PATH = "esb::platform::route-path", fixed;
    /// The platform's scheduler cannot do this expression; the schedule is left out.
    SCHEDULE_EXPRESSION = "esb::platform::schedule-expression";
    /// A variable that `--secret-env` names is not one of the function's.
    SECRET_ENV = "esb::platform::secret-env", fixed;
    /// The value of a NoEcho parameter is written into functions.yml.
    SECRET_IN_CONFIG = "esb::platform::secret-in-config";
    /// The value of a variable is known only to AWS; it is empty here.
    UNKNOWN_VARIABLE = "esb::platform::unknown-variable";
}
