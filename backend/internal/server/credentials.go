package server

import (
	"net/url"
	"os"
	"path/filepath"
)

// credentialFiles returns those files that are there and by which the server may log in
// to its database and its storage: what the URL of the database names, what the
// environment does, and the usual places in the home directory.
func credentialFiles(databaseURL string, getenv func(string) string) (files []string) {
	var named []string
	// One that is no URL opens no database.
	if parsed, err := url.Parse(databaseURL); err == nil {
		// A certificate may be in one file with its key.
		for _, parameter := range []string{"sslkey", "sslcert", "passfile", "servicefile"} {
			named = append(named, parsed.Query()[parameter]...)
		}
	}
	for _, variable := range []string{
		"PGSSLKEY", "PGSSLCERT", "PGPASSFILE", "PGSERVICEFILE",
		"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	} {
		named = append(named, getenv(variable))
	}
	// The home directory is hidden already, but where it is the root directory.
	if home := getenv("HOME"); home != "" {
		for _, usual := range []string{".pgpass", ".pg_service.conf", ".postgresql", ".aws"} {
			named = append(named, filepath.Join(home, usual))
		}
	}
	for _, file := range named {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files
}
