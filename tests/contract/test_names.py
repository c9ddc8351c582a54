"""The contract's names are names in every language, and the options put them where they belong.

A field called `ref` is `@ref` in C# and `ref_` in Rust, a message called Process hides java.lang's.
"""

import re
from collections import Counter

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodOptions

from tests.contract.descriptors import ENUMS, FILES, MESSAGES, METHODS, SERVICES

# Reserved words only. Contextual ones (C# `record`, Java `sealed`, Rust `union`, Python `match`,
# Swift `open`, TypeScript `type`) may be names, and so may built-in types (Go `string`).
KEYWORDS = {
    "Go": """
        break case chan const continue default defer else fallthrough for func go goto if import
        interface map package range return select struct switch type var
        """,
    "Java": """
        _ abstract assert boolean break byte case catch char class const continue default do
        double else enum extends false final finally float for goto if implements import
        instanceof int interface long native new null package private protected public return
        short static strictfp super switch synchronized this throw throws transient true try void
        volatile while
        """,
    "C#": """
        abstract as base bool break byte case catch char checked class const continue decimal
        default delegate do double else enum event explicit extern false finally fixed float for
        foreach goto if implicit in int interface internal is lock long namespace new null object
        operator out override params private protected public readonly ref return sbyte sealed
        short sizeof stackalloc static string struct switch this throw true try typeof uint ulong
        unchecked unsafe ushort using virtual void volatile while
        """,
    "TypeScript": """
        arguments await break case catch class const continue debugger default delete do else enum
        eval export extends false finally for function if implements import in instanceof
        interface let new null package private protected public return static super switch this
        throw true try typeof var void while with yield
        """,
    "Rust": """
        Self abstract as async await become box break const continue crate do dyn else enum extern
        false final fn for gen if impl in let loop macro match mod move mut override priv pub ref
        return self static struct super trait true try type typeof unsafe unsized use virtual
        where while yield
        """,
    "PHP": """
        __halt_compiler abstract and array as break callable case catch class clone const continue
        declare default die do echo else elseif empty enddeclare endfor endforeach endif endswitch
        endwhile eval exit extends final finally fn for foreach function global goto if implements
        include include_once instanceof insteadof interface isset list match namespace new or
        print private protected public readonly require require_once return static switch throw
        trait try unset use var while xor yield
        """,
    "Ruby": """
        BEGIN END __ENCODING__ __FILE__ __LINE__ alias and begin break case class def defined? do
        else elsif end ensure false for if in module next nil not or redo rescue retry return self
        super then true undef unless until when while yield
        """,
    "Python": """
        False None True and as assert async await break class continue def del elif else except
        finally for from global if import in is lambda nonlocal not or pass raise return try while
        with yield
        """,
    "Kotlin": """
        as break class continue do else false for fun if in interface is null object package
        return super this throw true try typealias typeof val var when while
        """,
    "Swift": """
        Any Self as associatedtype break case catch class continue default defer deinit do else
        enum extension fallthrough false fileprivate for func guard if import in init inout
        internal is let nil operator precedencegroup private protocol public repeat rethrows
        return self static struct subscript super switch throw throws true try typealias var where
        while
        """,
}

#: Imported into every Java file without being asked for. As of Java 25.
JAVA_LANG = """
    AbstractMethodError Appendable ArithmeticException ArrayIndexOutOfBoundsException
    ArrayStoreException AssertionError AutoCloseable Boolean BootstrapMethodError Byte
    CharSequence Character Class ClassCastException ClassCircularityError ClassFormatError
    ClassLoader ClassNotFoundException ClassValue CloneNotSupportedException Cloneable Comparable
    Compiler Deprecated Double Enum EnumConstantNotPresentException Error Exception
    ExceptionInInitializerError Float FunctionalInterface IO IllegalAccessError
    IllegalAccessException IllegalArgumentException IllegalCallerException
    IllegalMonitorStateException IllegalStateException IllegalThreadStateException
    IncompatibleClassChangeError IndexOutOfBoundsException InheritableThreadLocal
    InstantiationError InstantiationException Integer InternalError InterruptedException Iterable
    LayerInstantiationException LinkageError Long MatchException Math Module ModuleLayer
    NegativeArraySizeException NoClassDefFoundError NoSuchFieldError NoSuchFieldException
    NoSuchMethodError NoSuchMethodException NullPointerException Number NumberFormatException
    Object OutOfMemoryError Override Package Process ProcessBuilder ProcessHandle Readable Record
    ReflectiveOperationException Runnable Runtime RuntimeException RuntimePermission SafeVarargs
    ScopedValue SecurityException SecurityManager Short StableValue StackOverflowError
    StackTraceElement StackWalker StrictMath String StringBuffer StringBuilder
    StringIndexOutOfBoundsException SuppressWarnings System Thread ThreadDeath ThreadGroup
    ThreadLocal Throwable TypeNotPresentException UnknownError UnsatisfiedLinkError
    UnsupportedClassVersionError UnsupportedOperationException VerifyError VirtualMachineError
    Void WrongThreadException
    """


def camel(name: str) -> str:
    """The name as Java, TypeScript, Swift and JSON have it: agentId."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def types() -> list[str]:
    """What is generated as a type of its own, side by side where a language does not nest."""
    messages = [message.name for message in MESSAGES.values() if not message.options.map_entry]
    others = [enum.name for enum in ENUMS] + [service.name for service in SERVICES]
    return messages + others


@pytest.mark.parametrize("language", KEYWORDS)
def test_no_name_is_a_keyword(language: str) -> None:
    keywords = set(KEYWORDS[language].split())
    parts = [f"{name}.{field.name}" for name, one in MESSAGES.items() for field in one.field]
    parts += [f"{name}.{oneof.name}" for name, one in MESSAGES.items() for oneof in one.oneof_decl]
    # In stubs a call is a method: whoAmI, who_am_i.
    calls = [name[0].lower() + name[1:] for name in (rpc.partition("/")[2] for rpc in METHODS)]
    found = [
        name
        for name in [*parts, *types(), *calls]
        if {last := name.rpartition(".")[2], camel(last)} & keywords
    ]
    assert found == []


def test_no_type_has_the_name_of_another_whatever_its_case() -> None:
    # Where files are named after types, and in PHP, "URL" and "Url" are the same.
    counted = Counter(name.lower() for name in types())
    assert [name for name, count in counted.items() if count > 1] == []


def test_no_type_hides_one_of_java_or_is_a_keyword_of_php() -> None:
    assert set(JAVA_LANG.split()) & set(types()) == set()
    of_php = set(KEYWORDS["PHP"].split())
    assert [name for name in types() if name.lower() in of_php] == []


def test_no_type_has_the_name_of_something_that_is_generated_besides() -> None:
    besides = {file.options.java_outer_classname for file in FILES}
    besides |= {f"{message.rpartition('.')[2]}OrBuilder" for message in MESSAGES}
    for service in SERVICES:
        # Java, Python and C#; Go.
        besides |= {f"{service.name}{end}" for end in ("Grpc", "Stub", "Servicer", "Client")}
        besides |= {f"{service.name}Server", f"Unimplemented{service.name}Server"}
    assert besides & set(types()) == set()


def test_every_value_begins_with_the_name_of_its_enum_and_is_a_name_without_it() -> None:
    for enum in ENUMS:
        prefix = re.sub(r"(?<=.)([A-Z])", r"_\1", enum.name).upper() + "_"
        for value in enum.value:
            # TypeScript's Role.VIEWER, C#'s Role.Viewer, Rust's Role::Viewer.
            assert re.fullmatch(f"{prefix}[A-Z][A-Z0-9_]*", value.name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_options_of_a_file(file: FileDescriptorProto) -> None:
    options = file.options
    name = file.name.removeprefix("accredit/v1/").removesuffix(".proto")
    assert file.package == "accredit.v1"
    assert options.go_package == (
        "github.com/accreditregistry/accredit/clients/go/accreditv1;accreditv1"
    )
    assert options.java_package == "io.github.accreditregistry.v1"
    assert options.java_multiple_files
    assert options.java_outer_classname == f"{camel(name).capitalize()}Proto"
    assert options.csharp_namespace == "Accredit.V1"
    assert options.php_namespace == "Accredit\\V1"
    assert options.php_metadata_namespace == "Accredit\\V1\\Metadata"
    assert options.ruby_package == "Accredit::V1"


def test_outer_classes_are_all_different() -> None:
    assert len({file.options.java_outer_classname for file in FILES}) == len(FILES)


def test_a_call_that_carries_a_secret_may_be_repeated_but_never_put_into_a_url() -> None:
    for rpc, method in METHODS.items():
        request = MESSAGES[method.input_type.removeprefix(".")]
        if any(field.options.debug_redact for field in request.field):
            assert method.options.idempotency_level != MethodOptions.NO_SIDE_EFFECTS, rpc
