package rpc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// enumCheck compares an enum of the contract with a type of the domain.
type enumCheck func(t *testing.T, enum protoreflect.EnumDescriptor)

// enumChecks are the enums of the contract whose values the domain has too.
func enumChecks() map[string]enumCheck {
	return map[string]enumCheck{
		"ExecutionMode":             wordsOf("../../pipeline", "ExecutionMode", pipelinepb.ModeToProto, whole(pipelinepb.ModeFromProto)),
		"OnUpdate":                  wordsOf("../../pipeline", "OnUpdate", pipelinepb.OnUpdateToProto, whole(pipelinepb.OnUpdateFromProto)),
		"ConditionKind":             wordsOf("../../pipeline", "ConditionKind", pipelinepb.ConditionKindToProto, whole(pipelinepb.ConditionKindFromProto)),
		"RetryMode":                 wordsOf("../../pipeline", "RetryMode", pipelinepb.RetryModeToProto, whole(pipelinepb.RetryModeFromProto)),
		"ExecutionType":             wordsOf("../../pipeline", "ExecutionType", pipelinepb.TypeToProto, whole(pipelinepb.TypeFromProto)),
		"ExecutionStatus":           wordsOf("../../pipeline", "Status", pipelinepb.StatusToProto, whole(pipelinepb.StatusFromProto)),
		"ConfigurationPropertyType": wordsOf[headracev1.ConfigurationPropertyType, pipeline.PropertyType]("../../pipeline", "PropertyType", propertyTypeEnum.ToProto, propertyTypeEnum.FromProto),
		"Role":                      wordsOf[headracev1.Role, auth.Role]("../auth", "Role", roleEnum.ToProto, roleEnum.FromProto),
		"WaitKind":                  wordsOf[headracev1.WaitKind, engine.WaitKind]("../engine", "WaitKind", waitKindEnum.ToProto, waitKindEnum.FromProto),
		"NextStepKind":              wordsOf[headracev1.NextStepKind, engine.StepKind]("../engine", "StepKind", stepKindEnum.ToProto, stepKindEnum.FromProto),
		"EventSubject":              wordsOf[headracev1.EventSubject, execution.Subject]("../execution", "Subject", subjectEnum.ToProto, subjectEnum.FromProto),
		"ConnectionCheckKind":       wordsOf[headracev1.ConnectionCheckKind, connection.CheckKind]("../connection", "CheckKind", checkKindEnum.ToProto, checkKindEnum.FromProto),
		"ConnectionCheckStatus":     wordsOf[headracev1.ConnectionCheckStatus, connection.CheckStatus]("../connection", "CheckStatus", checkStatusEnum.ToProto, checkStatusEnum.FromProto),
		"Composition":               wordsOf[headracev1.Composition, service.Composition]("../service", "Composition", compositionEnum.ToProto, compositionEnum.FromProto),
		"PublishPolicy":             wordsOf[headracev1.PublishPolicy, service.Publish]("../service", "Publish", publishEnum.ToProto, publishEnum.FromProto),
		"WebhookKind":               wordsOf[headracev1.WebhookKind, forge.Kind]("../forge", "Kind", webhookKindEnum.ToProto, webhookKindEnum.FromProto),
		"DeliveryStatus":            wordsOf[headracev1.DeliveryStatus, ledger.Status]("../ledger", "Status", deliveryStatusEnum.ToProto, deliveryStatusEnum.FromProto),
		"DefinitionChangeKind":      wordsOf[headracev1.DefinitionChangeKind, pipeline.ChangeKind]("../../pipeline", "ChangeKind", changeKindEnum.ToProto, changeKindEnum.FromProto),
		"StageGateKind":             wordsOf[headracev1.StageGateKind, engine.GateKind]("../engine", "GateKind", gateKindEnum.ToProto, gateKindEnum.FromProto),
		"SourceRelation":            wordsOf[headracev1.SourceRelation, mirror.Relation]("../mirror", "Relation", relationEnum.ToProto, relationEnum.FromProto),
		"TriggerOutcome":            wordsOf[headracev1.TriggerOutcome, ledger.Outcome]("../ledger", "Outcome", outcomeEnum.ToProto, outcomeEnum.FromProto),
		"NewBranch":                 wordsOf[headracev1.NewBranch, trigger.NewBranch]("../../pipeline/trigger", "NewBranch", newBranchEnum.ToProto, newBranchEnum.FromProto),
		"MovedTag":                  wordsOf[headracev1.MovedTag, trigger.MovedTag]("../../pipeline/trigger", "MovedTag", movedTagEnum.ToProto, movedTagEnum.FromProto),
		"UnknownDiff":               wordsOf[headracev1.UnknownDiff, trigger.UnknownDiff]("../../pipeline/trigger", "UnknownDiff", unknownDiffEnum.ToProto, unknownDiffEnum.FromProto),
		"Coalesce":                  wordsOf[headracev1.Coalesce, trigger.Coalesce]("../../pipeline/trigger", "Coalesce", coalesceEnum.ToProto, coalesceEnum.FromProto),
		"Argument":                  argumentsAreFlags,
		"Permission":                permissionsAreWords,
		// On the wire it is whether a rule supersedes.
		"NewerExecution": nil,
		// It has no counterpart in the domain.
		"Effect": nil,
	}
}

// TestEveryEnumIsPaired compares every enum of the contract with the constants of its type
// in the domain, in both directions. A value that one side alone has fails it.
func TestEveryEnumIsPaired(t *testing.T) {
	t.Parallel()
	checks := enumChecks()
	protoregistry.GlobalFiles.RangeFilesByPackage("headrace.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Enums().Len() {
			enum := file.Enums().Get(i)
			check, listed := checks[string(enum.Name())]
			require.True(t, listed, "%s: pair its values with those of the domain by pipelinepb.NewEnum, and check them here", enum.Name())
			if check != nil {
				check(t, enum)
			}
		}
		return true
	})
}

// whole says of a conversion to words that it is one of a known value.
func whole[P pipelinepb.Number, W ~string](fromProto func(P) W) func(P) (W, bool) {
	return func(number P) (W, bool) {
		word := fromProto(number)
		return word, string(word) != number.String()
	}
}

// wordsOf checks that each value but UNSPECIFIED is one constant of a type, and the other
// way round.
func wordsOf[P pipelinepb.Number, W ~string](dir, name string, toProto func(W) P, fromProto func(P) (W, bool)) enumCheck {
	return func(t *testing.T, enum protoreflect.EnumDescriptor) {
		t.Helper()
		var words []string
		for i := 1; i < enum.Values().Len(); i++ {
			number := P(enum.Values().Get(i).Number())
			word, known := fromProto(number)
			require.True(t, known && word != "", "%s has no value in the domain", enum.Values().Get(i).Name())
			require.Equal(t, number, toProto(word), "%s", word)
			words = append(words, string(word))
		}
		require.ElementsMatch(t, constants(t, dir, name), words, "the values of %s and the constants of %s.%s", enum.Name(), path.Base(dir), name)
	}
}

func argumentsAreFlags(t *testing.T, enum protoreflect.EnumDescriptor) {
	t.Helper()
	flags := constants(t, "../../pipeline", "Takes")
	require.Len(t, flags, enum.Values().Len()-1)
	var all pipeline.Takes
	for i := range flags {
		all |= 1 << i
	}
	arguments := argumentsToProto(all)
	require.Len(t, arguments, len(flags))
	for i, argument := range arguments {
		flag, known := argumentEnum.FromProto(argument)
		require.True(t, known)
		require.Equal(t, pipeline.Takes(1<<i), flag, "%s", argument)
	}
}

// permissionsAreWords checks the permissions in an account: the others are decided before
// any account is looked at.
func permissionsAreWords(t *testing.T, enum protoreflect.EnumDescriptor) {
	t.Helper()
	var words []string
	for i := range enum.Values().Len() {
		number := headracev1.Permission(enum.Values().Get(i).Number())
		if word, known := permissionEnum.FromProto(number); known && word != "" {
			require.Equal(t, number, permissionEnum.ToProto(word))
			words = append(words, string(word))
		}
	}
	require.ElementsMatch(t, constants(t, "../auth", "Permission"), words)
	require.Len(t, words, enum.Values().Len()-3, "all but UNSPECIFIED, OPEN and AUTHENTICATED")
}

// constants returns the constants of a type in the source of its package: their text, or
// their name if they are not texts.
func constants(t *testing.T, dir, name string) []string {
	t.Helper()
	var found []string
	files, err := fs.Glob(os.DirFS(dir), "*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), path.Join(dir, file), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range source.Decls {
			if block, ok := decl.(*ast.GenDecl); ok && block.Tok == token.CONST {
				found = append(found, constantsIn(t, block, name)...)
			}
		}
	}
	require.NotEmpty(t, found, "%s has no constants of %s", dir, name)
	return found
}

func constantsIn(t *testing.T, block *ast.GenDecl, name string) (found []string) {
	t.Helper()
	ofType := false
	for _, s := range block.Specs {
		spec := s.(*ast.ValueSpec)
		// A constant without type and value repeats those before it.
		if spec.Type != nil || len(spec.Values) > 0 {
			ident, isIdent := spec.Type.(*ast.Ident)
			ofType = isIdent && ident.Name == name
		}
		if !ofType {
			continue
		}
		for i, constant := range spec.Names {
			text := constant.Name
			if i < len(spec.Values) {
				if literal, ok := spec.Values[i].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					var err error
					text, err = strconv.Unquote(literal.Value)
					require.NoError(t, err)
				}
			}
			found = append(found, text)
		}
	}
	return found
}
