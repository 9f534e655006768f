package server_test

import (
	"bytes"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // To find the pages of a table.

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

// damageTable overwrites the first page of a table of a stopped server, as a bad disk may.
func damageTable(t *testing.T, dataDir, table string) {
	t.Helper()
	path := filepath.Join(dataDir, "headrace.db")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	var page, size int64
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = $1`, table).Scan(&page))
	require.NoError(t, db.QueryRowContext(t.Context(), `PRAGMA page_size`).Scan(&size))
	require.NoError(t, db.Close())
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xff}, int(size)), (page-1)*size)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// A server that met a damaged page looked healthy for as long as anybody watched.
func TestDamageFoundInServiceEndsReadiness(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{
		Name: client.PipelineName("default", "web"), Definition: kindless(),
	}})
	require.NoError(t, err)
	b.Stop()
	damageTable(t, b.DataDir, "pipelines")
	b.Restart()
	_, err = b.Admin().Pipelines.ListPipelines(t.Context(), &v1.ListPipelinesRequest{Parent: client.AccountName("default")})
	require.ErrorContains(t, err, "headraced at "+b.Endpoint+": the server's database is damaged; its log says what to do (error_id ")
	ready(t, b, http.StatusServiceUnavailable, "the database is damaged; the log says what to do")
	_, metrics := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/metrics")
	require.Contains(t, metrics, "headrace_database_damaged 1\n")
}

func TestUndamagedDatabaseInMetrics(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	ready(t, b, http.StatusOK, "ok")
	_, metrics := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/metrics")
	require.Contains(t, metrics, "headrace_database_damaged 0\n")
}

// kindless is a definition of actions that wait for people.
func kindless() *v1.PipelineDefinition {
	return sourceAndBuild("https://127.0.0.1:1/web.git", &v1.Action{Name: "Sign", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"})
}

// The error of a start named no file and no way back.
func TestDamageFoundAtTheStartSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"accounts", "goose_db_version"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			b := backendtest.Start(t)
			b.Stop()
			damageTable(t, b.DataDir, table)
			cfg := config.Default()
			cfg.DataDir, cfg.GRPCListen, cfg.HTTPListen = b.DataDir, "127.0.0.1:0", "127.0.0.1:0"
			_, err := server.New(t.Context(), cfg, server.Options{Log: hclog.NewNullLogger()})
			require.ErrorContains(t, err, "the database is damaged")
			require.ErrorContains(t, err, filepath.Join(b.DataDir, "headrace.db")+" cannot be used as it is")
			require.ErrorContains(t, err, "headraced restore")
		})
	}
}
