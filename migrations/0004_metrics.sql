CREATE TABLE `metrics` (
	`key` text PRIMARY KEY NOT NULL,
	`event` text NOT NULL,
	`kind` text NOT NULL,
	`denominator` text,
	`unit` text NOT NULL,
	`good_direction` text NOT NULL,
	`cap` real,
	`pre_exposure` integer NOT NULL,
	`description` text NOT NULL,
	`tags` text NOT NULL,
	`owner` text NOT NULL,
	`search` text NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `environments` ADD `shards` integer DEFAULT 2 NOT NULL;--> statement-breakpoint
ALTER TABLE `environments` ADD `layouts` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `measurements` ADD `body` text DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `measurements_by_id` ON `measurements` (`environment`,`id`);