package dev.sotto

/** Why something about the model store did not work. Ten cases. An access token never stands in one. */
public sealed class StoreException(
    code: String,
    reason: String,
    nextStep: String,
    cause: Throwable? = null,
) : SottoException(code, reason, nextStep, cause) {
    /** Someone else cancelled this work. */
    public class Cancelled internal constructor(reason: String, cause: Throwable? = null) :
        StoreException("cancelled", reason, "", cause)

    /** That cannot be the name of a model or a version. */
    public class InvalidName internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("invalid_name", reason, nextStep, cause)

    /** There is no such model, version or file, here or at the publisher's. */
    public class NotFound internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("not_found", reason, nextStep, cause)

    /** The model is damaged, or came damaged. */
    public class Damaged internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("damaged", reason, nextStep, cause)

    /** The publisher has it, but not in a form that Sotto reads safely. */
    public class Unsupported internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("unsupported", reason, nextStep, cause)

    /** The server could not be reached, or does not want to serve now. */
    public class Network internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("network", reason, nextStep, cause)

    /** The publisher wants an access token, another one, or its terms accepted. */
    public class Unauthorized internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("unauthorized", reason, nextStep, cause)

    /** The disk has too little room. */
    public class NoSpace internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("no_space", reason, nextStep, cause)

    /** Another process, or another job of this one, changes the model. */
    public class Busy internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("busy", reason, nextStep, cause)

    /** The store was closed, the system refused something, or Sotto has a bug. */
    public class Internal internal constructor(reason: String, nextStep: String, cause: Throwable? = null) :
        StoreException("internal", reason, nextStep, cause)
}
