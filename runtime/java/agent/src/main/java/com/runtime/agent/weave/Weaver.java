package com.runtime.agent.weave;

import static org.objectweb.asm.Opcodes.*;

import com.runtime.agent.Hooks;
import java.util.ArrayList;
import java.util.List;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Label;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Type;

/**
 * Calls of {@link Hooks} in other people's classes.
 *
 * <p>Owns the bytecode. A method that needs more than a call at its entry is renamed and gets a
 * short one in its place, so that no stack map has to be computed anew. Refuses to decide anything.
 */
public final class Weaver extends ClassVisitor {
    /** The system property whose value is the hook of classes that see only the JDK. */
    public static final String CARRIER = "com.runtime.agent.logs";

    private static final String HOOKS = Type.getInternalName(Hooks.class);
    private static final String FUNCTION = "java/util/function/BiFunction";
    private static final String OBJECT = "Ljava/lang/Object;";
    private static final String SUFFIX = "$esb";
    private static final int IGNORED = ACC_ABSTRACT | ACC_NATIVE | ACC_STATIC | ACC_BRIDGE;

    /** A method that was renamed. */
    private static final class Renamed {
        final Rule rule;
        final int access;
        final String name;
        final String descriptor;
        final String[] exceptions;

        Renamed(Rule rule, int access, String name, String descriptor, String[] exceptions) {
            this.rule = rule;
            this.access = access;
            this.name = name;
            this.descriptor = descriptor;
            this.exceptions = exceptions;
        }
    }

    private final List<Rule> rules;
    private final boolean seesOnlyJdk;
    private final List<Renamed> renamed = new ArrayList<>();
    private String owner;

    private Weaver(ClassVisitor next, List<Rule> rules, boolean seesOnlyJdk) {
        super(ASM9, next);
        this.rules = rules;
        this.seesOnlyJdk = seesOnlyJdk;
    }

    /** The class with the rules' calls in it; {@code seesOnlyJdk}: it belongs to the JDK. */
    public static byte[] weave(byte[] bytes, List<Rule> rules, boolean seesOnlyJdk) {
        ClassReader reader = new ClassReader(bytes);
        ClassWriter writer = new ClassWriter(reader, ClassWriter.COMPUTE_MAXS);
        reader.accept(new Weaver(writer, rules, seesOnlyJdk), 0);
        return writer.toByteArray();
    }

    @Override
    public void visit(int version, int access, String name, String signature, String parent, String[] faces) {
        owner = name;
        super.visit(version, access, name, signature, parent, faces);
    }

    @Override
    public MethodVisitor visitMethod(
            int access, String name, String descriptor, String signature, String[] exceptions) {
        Rule rule = (access & IGNORED) == 0 ? rule(name, descriptor) : null;
        if (rule == null) {
            return super.visitMethod(access, name, descriptor, signature, exceptions);
        }
        if (rule.kind == Rule.Kind.BEFORE) {
            MethodVisitor method = super.visitMethod(access, name, descriptor, signature, exceptions);
            return new Entry(method, name, rule, Type.getArgumentTypes(descriptor));
        }
        renamed.add(new Renamed(rule, access, name, descriptor, exceptions));
        int hidden = access & ~(ACC_PUBLIC | ACC_PROTECTED | ACC_FINAL) | ACC_PRIVATE | ACC_SYNTHETIC;
        return super.visitMethod(hidden, name + SUFFIX, descriptor, signature, exceptions);
    }

    @Override
    public void visitEnd() {
        for (Renamed method : renamed) {
            MethodVisitor code = super.visitMethod(
                    method.access, method.name, method.descriptor, null, method.exceptions);
            code.visitCode();
            if (method.rule.kind == Rule.Kind.ANSWER) {
                answer(code, method);
            } else if (seesOnlyJdk) {
                aroundThroughCarrier(code, method);
            } else {
                around(code, method);
            }
            code.visitMaxs(0, 0);
            code.visitEnd();
        }
        super.visitEnd();
    }

    private Rule rule(String name, String descriptor) {
        for (Rule rule : rules) {
            if (rule.method.equals(name) && Type.getArgumentTypes(descriptor).length == rule.parameters) {
                return rule;
            }
        }
        return null;
    }

    /** A call of the hook at a method's entry. */
    private static final class Entry extends MethodVisitor {
        private final boolean isConstructor;
        private final Rule rule;
        private final Type[] parameters;

        Entry(MethodVisitor next, String name, Rule rule, Type[] parameters) {
            super(ASM9, next);
            isConstructor = name.equals("<init>");
            this.rule = rule;
            this.parameters = parameters;
        }

        @Override
        public void visitCode() {
            super.visitCode();
            // The last parameter is the one that hooks look at: the only one, or the content.
            int last = 1;
            for (int i = 0; i + 1 < parameters.length; i++) {
                last += parameters[i].getSize();
            }
            boolean none = parameters.length == 0;
            visitLdcInsn(rule.hook);
            visitNullOrLoad(isConstructor, 0);
            visitNullOrLoad(none, last);
            visitMethodInsn(INVOKESTATIC, HOOKS, "before",
                    "(Ljava/lang/String;" + OBJECT + OBJECT + ")" + OBJECT, false);
            if (none) {
                visitInsn(POP);
            } else {
                visitTypeInsn(CHECKCAST, parameters[parameters.length - 1].getInternalName());
                visitVarInsn(ASTORE, last);
            }
        }

        private void visitNullOrLoad(boolean none, int index) {
            if (none) {
                visitInsn(ACONST_NULL);
            } else {
                visitVarInsn(ALOAD, index);
            }
        }
    }

    private void answer(MethodVisitor code, Renamed method) {
        Type result = Type.getReturnType(method.descriptor);
        String parameter = Type.getArgumentTypes(method.descriptor)[0].getInternalName();
        Label unanswered = new Label();
        code.visitLdcInsn(method.name);
        code.visitVarInsn(ALOAD, 0);
        code.visitVarInsn(ALOAD, 1);
        code.visitMethodInsn(INVOKESTATIC, HOOKS, "answer",
                "(Ljava/lang/String;" + OBJECT + OBJECT + ")" + OBJECT, false);
        code.visitVarInsn(ASTORE, 2);
        code.visitVarInsn(ALOAD, 2);
        code.visitJumpInsn(IFNULL, unanswered);
        code.visitVarInsn(ALOAD, 2);
        code.visitTypeInsn(CHECKCAST, result.getInternalName());
        code.visitInsn(ARETURN);
        code.visitLabel(unanswered);
        code.visitFrame(F_FULL, 3, new Object[] {owner, parameter, "java/lang/Object"}, 0, null);
        original(code, method);
        code.visitInsn(ARETURN);
    }

    /** For methods whose parameters are objects, and an object as the result or none. */
    private void around(MethodVisitor code, Renamed method) {
        List<Object> locals = locals(method);
        int state = locals.size();
        code.visitLdcInsn(method.rule.hook);
        self(code, method);
        code.visitMethodInsn(INVOKESTATIC, HOOKS, "begin",
                "(Ljava/lang/String;" + OBJECT + OBJECT + ")" + OBJECT, false);
        code.visitVarInsn(ASTORE, state);
        locals.add("java/lang/Object");
        Runnable end = () -> {
            code.visitLdcInsn(method.rule.hook);
            code.visitVarInsn(ALOAD, state);
            self(code, method);
            code.visitMethodInsn(INVOKESTATIC, HOOKS, "end",
                    "(Ljava/lang/String;" + OBJECT + OBJECT + OBJECT + ")V", false);
        };
        guarded(code, method, locals, end);
    }

    private void aroundThroughCarrier(MethodVisitor code, Renamed method) {
        List<Object> locals = locals(method);
        int function = locals.size() + 1;
        int state = locals.size() + 2;
        Label hooked = new Label();
        code.visitMethodInsn(INVOKESTATIC, "java/lang/System", "getProperties", "()Ljava/util/Properties;", false);
        code.visitLdcInsn(CARRIER);
        code.visitMethodInsn(INVOKEVIRTUAL, "java/util/Properties", "get", "(" + OBJECT + ")" + OBJECT, false);
        code.visitVarInsn(ASTORE, locals.size());
        code.visitVarInsn(ALOAD, locals.size());
        code.visitTypeInsn(INSTANCEOF, FUNCTION);
        code.visitJumpInsn(IFNE, hooked);
        original(code, method);
        code.visitInsn(result(method) ? ARETURN : RETURN);
        code.visitLabel(hooked);
        locals.add("java/lang/Object");
        code.visitFrame(F_FULL, locals.size(), locals.toArray(), 0, null);
        code.visitVarInsn(ALOAD, locals.size() - 1);
        code.visitTypeInsn(CHECKCAST, FUNCTION);
        code.visitVarInsn(ASTORE, function);
        locals.add(FUNCTION);
        code.visitVarInsn(ALOAD, function);
        code.visitInsn(ACONST_NULL);
        code.visitVarInsn(ALOAD, 1);
        apply(code);
        code.visitVarInsn(ASTORE, state);
        locals.add("java/lang/Object");
        Runnable end = () -> {
            code.visitVarInsn(ALOAD, function);
            code.visitVarInsn(ALOAD, state);
            code.visitVarInsn(ALOAD, 1);
            apply(code);
            code.visitInsn(POP);
        };
        guarded(code, method, locals, end);
    }

    /** The original method, with {@code end} after it whether it returns or throws. */
    private void guarded(MethodVisitor code, Renamed method, List<Object> locals, Runnable end) {
        int slot = locals.size();
        Label start = new Label();
        Label stop = new Label();
        Label handler = new Label();
        code.visitTryCatchBlock(start, stop, handler, null);
        code.visitLabel(start);
        original(code, method);
        if (result(method)) {
            code.visitVarInsn(ASTORE, slot);
        }
        code.visitLabel(stop);
        end.run();
        if (result(method)) {
            code.visitVarInsn(ALOAD, slot);
        }
        code.visitInsn(result(method) ? ARETURN : RETURN);
        code.visitLabel(handler);
        code.visitFrame(F_FULL, locals.size(), locals.toArray(), 1, new Object[] {"java/lang/Throwable"});
        code.visitVarInsn(ASTORE, slot);
        end.run();
        code.visitVarInsn(ALOAD, slot);
        code.visitInsn(ATHROW);
    }

    private List<Object> locals(Renamed method) {
        List<Object> locals = new ArrayList<>(List.of(owner));
        for (Type parameter : Type.getArgumentTypes(method.descriptor)) {
            locals.add(parameter.getInternalName());
        }
        return locals;
    }

    private static void self(MethodVisitor code, Renamed method) {
        code.visitVarInsn(ALOAD, 0);
        if (method.rule.parameters == 0) {
            code.visitInsn(ACONST_NULL);
        } else {
            code.visitVarInsn(ALOAD, 1);
        }
    }

    private void original(MethodVisitor code, Renamed method) {
        for (int i = 0; i <= method.rule.parameters; i++) {
            code.visitVarInsn(ALOAD, i);
        }
        code.visitMethodInsn(INVOKESPECIAL, owner, method.name + SUFFIX, method.descriptor, false);
    }

    private static boolean result(Renamed method) {
        return Type.getReturnType(method.descriptor) != Type.VOID_TYPE;
    }

    private static void apply(MethodVisitor code) {
        code.visitMethodInsn(INVOKEINTERFACE, FUNCTION, "apply", "(" + OBJECT + OBJECT + ")" + OBJECT, true);
    }
}
