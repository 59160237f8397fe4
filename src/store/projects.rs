//! Rows of projects. One that was deleted stays as a row that nothing shows: its counter must outlive it.

use rusqlite::{OptionalExtension, Row, params};

use crate::domain::clock::Timestamp;
use crate::domain::project::{Project, ProjectName};

use super::StoreError;
use super::reader::View;
use super::tasks::parsed;
use super::tx::Tx;

const COLUMNS: &str = "project, title, description, archived, version, created_at, updated_at";

impl View<'_> {
    /// # Errors
    /// [`StoreError`]
    pub fn project(&self, name: &ProjectName) -> Result<Option<Project>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM projects WHERE project = ?1 AND NOT deleted");
        Ok(self.conn.prepare_cached(&sql)?.query_row([name.as_str()], project).optional()?)
    }

    /// All projects, by name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM projects WHERE NOT deleted ORDER BY project");
        let mut statement = self.conn.prepare_cached(&sql)?;
        Ok(statement.query_map((), project)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether a task belongs to the project.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn has_tasks(&self, name: &ProjectName) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM tasks WHERE project = ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0))?)
    }
}

impl Tx<'_> {
    /// # Errors
    /// [`StoreError`], also when there is one of this name.
    pub fn insert_project(&mut self, project: &Project) -> Result<(), StoreError> {
        // The counter of a project that was deleted goes on.
        self.write_project(
            "INSERT INTO projects (project, title, description, archived, version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (project) DO UPDATE SET title = ?2, description = ?3, archived = ?4, version = ?5,
                created_at = ?6, updated_at = ?7, deleted = 0",
            project,
        )
    }

    /// # Errors
    /// [`StoreError`]
    pub fn update_project(&mut self, project: &Project) -> Result<(), StoreError> {
        self.write_project(
            "UPDATE projects SET title = ?2, description = ?3, archived = ?4, version = ?5, created_at = ?6,
                updated_at = ?7
             WHERE project = ?1",
            project,
        )
    }

    fn write_project(&mut self, sql: &str, project: &Project) -> Result<(), StoreError> {
        self.conn.prepare_cached(sql)?.execute(params![
            project.project.as_str(),
            project.title.as_str(),
            project.description.as_str(),
            project.archived,
            project.version,
            project.created_at.ms(),
            project.updated_at.ms(),
        ])?;
        Ok(())
    }

    /// # Errors
    /// [`StoreError`]
    pub fn delete_project(&mut self, name: &ProjectName) -> Result<(), StoreError> {
        let sql = "UPDATE projects SET deleted = 1 WHERE project = ?1";
        self.conn.prepare_cached(sql)?.execute([name.as_str()])?;
        Ok(())
    }

    /// The number of the next task of a project that takes tasks; `None` when it takes none, or there is no such project.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn next_task_number(&mut self, name: &ProjectName) -> Result<Option<i64>, StoreError> {
        let sql = "UPDATE projects SET last_number = last_number + 1
                   WHERE project = ?1 AND NOT archived AND NOT deleted RETURNING last_number";
        Ok(self.conn.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0)).optional()?)
    }
}

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        project: parsed(row, 0)?,
        title: parsed(row, 1)?,
        description: parsed(row, 2)?,
        archived: row.get(3)?,
        version: row.get(4)?,
        created_at: Timestamp::from_ms(row.get(5)?),
        updated_at: Timestamp::from_ms(row.get(6)?),
    })
}
