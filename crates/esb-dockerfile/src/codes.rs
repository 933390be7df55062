//! The codes of all findings of this crate.
//!
//! A name is stable: people silence it, search for it and link to it.

esb_model::finding_codes! {
    /// The container engine that a run uses cannot run the image of a function.
    FOREIGN_ARCHITECTURE = "esb::platform::foreign-architecture";
    /// Images of this runtime are made without the platform's hooks.
    NO_HOOKS = "esb::platform::no-hooks";
    /// A published layer cannot be fetched without AWS; it is left out.
    PUBLISHED_LAYER = "esb::platform::published-layer";
    /// Code or layer content is in S3 and is skipped.
    S3_CONTENT = "esb::platform::s3-content";
    /// An absolute link leads to a path of this machine, which no image has.
    ABSOLUTE_LINK = "esb::recipe::absolute-link";
    /// Names in an archive have backslashes, which do not separate folders.
    BACKSLASH_NAME = "esb::recipe::backslash-name";
    /// A file that is named as an archive is not one.
    BROKEN_ARCHIVE = "esb::recipe::broken-archive", fixed;
    /// A function does not say where its code is; the template's folder is used.
    DEFAULT_CODE = "esb::recipe::default-code";
    /// The template names no handler; the default is used.
    DEFAULT_HANDLER = "esb::recipe::default-handler";
    /// The template names no runtime; the default is used.
    DEFAULT_RUNTIME = "esb::recipe::default-runtime";
    /// Two functions would have the same image name.
    DUPLICATE_IMAGE = "esb::recipe::duplicate-image", fixed;
    /// A name cannot be written in a Dockerfile.
    INVALID_NAME = "esb::recipe::invalid-name", fixed;
    /// A layer's folder has a requirements file that nothing installs.
    LAYER_REQUIREMENTS = "esb::recipe::layer-requirements";
    /// A link in code or in a layer leads out of the project.
    LINK_OUTSIDE = "esb::recipe::link-outside", fixed;
    /// The code of a function or the content of a layer does not exist.
    MISSING_CODE = "esb::recipe::missing-code", fixed;
    /// A function refers to a layer that the template does not have.
    MISSING_LAYER = "esb::recipe::missing-layer";
    /// No character of the function's name can be used in an image name.
    NO_IMAGE_NAME = "esb::recipe::no-image-name", fixed;
    /// The function's image would have the name of the base image.
    RESERVED_IMAGE = "esb::recipe::reserved-image", fixed;
    /// A secret value goes into a build argument, which the image's history may show.
    SECRET_ARGUMENT = "esb::recipe::secret-argument";
    /// The code of a Java function is a project's folder, or a jar in a folder, and cannot be loaded.
    UNBUILT_JAVA = "esb::recipe::unbuilt-java";
    /// The content of a layer has to be built first, by something that is not done here.
    UNBUILT_LAYER = "esb::recipe::unbuilt-layer";
    /// The location of code or of a layer is known only to AWS.
    UNKNOWN_CODE = "esb::recipe::unknown-code", fixed;
    /// No Lambda runtime has this name, or AWS made no base image of it.
    UNKNOWN_RUNTIME = "esb::recipe::unknown-runtime", fixed;
    /// A file or folder could not be read.
    UNREADABLE = "esb::recipe::unreadable", fixed;
    /// A link in code or in a layer leads to a folder that holds it, to nothing, or to what cannot be copied.
    UNUSABLE_LINK = "esb::recipe::unusable-link", fixed;
    /// A path has characters that no Dockerfile can hold.
    UNUSABLE_PATH = "esb::recipe::unusable-path", fixed;
    /// A name in code or in a layer begins with `.wh.`, which in an image deletes a file.
    WHITEOUT_NAME = "esb::recipe::whiteout-name", fixed;
}
